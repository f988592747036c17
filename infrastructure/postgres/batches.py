"""The question for a full batch of the log's events: see ``application/log_batches.py``.

It is one question, which PostgreSQL answers in one go, so the rows that there is no room for must not be in
the answer: the driver takes it whole. Their sizes are told without the rows' large values being read.
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
"""Each stream by its key, whatever PostgreSQL believes of the table: LIMIT makes a question a stream of it. A
join would be planned as one with all of a log that has not been analyzed yet, and read all of it."""


def batch_where(condition: str, columns: str, order: str = "notification_id") -> str:
    """Columns of the events that meet a condition, in an order, by default that of their ids: its values come
    first, then how many there may be, and the room in bytes."""
    return _batch(_NEXT.format(condition=condition, order=order), columns, order)


def batch_of_streams(columns: str) -> str:
    """Columns of the events of streams after versions, in the order of both: these are two arrays, then comes
    how many there may be, twice, with the room in bytes between."""
    condition = "originator_id = stream AND originator_version > version"
    next = _NEXT_OF_EACH.format(next=_NEXT.format(condition=condition, order="originator_version"))
    return f"{_batch(next, columns, 'place, originator_version')} LIMIT %s"


def _batch(next: str, columns: str, order: str) -> str:
    summed = _SUMMED.format(next=next, order=order)
    return f"SELECT {columns} FROM ({summed}) AS summed WHERE before < %s ORDER BY {order}"  # noqa: S608  names, never values
