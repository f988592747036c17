"""The query for a full batch of the log's events: see ``application/log_batches.py``.

PostgreSQL answers a query as a whole, and the driver reads the whole answer. So rows for which there is no
room must not be in the answer. The query finds their sizes without reading their large values.
"""

_SUMMED = (
    "SELECT *, sum(coalesce(octet_length(state), 0)) OVER"
    " (ORDER BY {order} ROWS UNBOUNDED PRECEDING) - coalesce(octet_length(state), 0) AS before"
    " FROM ({next}) AS next"
)
_NEXT = (
    "SELECT notification_id, originator_id, originator_version, topic, state"
    " FROM public.workflow_orchestrator_events WHERE {condition} ORDER BY {order} LIMIT %s"
)
_NEXT_OF_EACH = (
    "SELECT event.*, place FROM unnest(%s::text[], %s::bigint[]) WITH ORDINALITY"
    " AS wanted (stream, version, place) CROSS JOIN LATERAL ({next}) AS event"
)
"""Finds each stream by its key, whatever the planner's statistics say: LIMIT makes this one query per stream.
A join with a log that has not been analyzed yet would be planned to read all of it."""


def batch_where(condition: str, columns: str, order: str = "notification_id") -> str:
    """Return a query for columns of the events that meet a condition, in an order, by default that of their
    ids. Its parameters are those of the condition, then the most rows, and the room in bytes."""
    return _batch(_NEXT.format(condition=condition, order=order), columns, order)


def batch_of_streams(columns: str) -> str:
    """Return a query for columns of the events of streams after versions, in the order of both. Its
    parameters are two arrays for these, the most rows, the room in bytes, and the most rows again."""
    condition = "originator_id = stream AND originator_version > version"
    next = _NEXT_OF_EACH.format(next=_NEXT.format(condition=condition, order="originator_version"))
    return f"{_batch(next, columns, 'place, originator_version')} LIMIT %s"


def _batch(next: str, columns: str, order: str) -> str:
    summed = _SUMMED.format(next=next, order=order)
    return f"SELECT {columns} FROM ({summed}) AS summed WHERE before < %s ORDER BY {order}"  # noqa: S608  names, never values
