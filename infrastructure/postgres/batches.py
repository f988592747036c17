"""The question for a full batch of the log's events: see ``application/log_batches.py``.

It is one question, which PostgreSQL answers in one go, so the rows that there is no room for must not be in
the answer: the driver takes it whole. Their sizes are told without the rows' large values being read.
"""

_SUMMED = (
    "SELECT *, sum(coalesce(octet_length(state), 0)) OVER"
    " (ORDER BY notification_id ROWS UNBOUNDED PRECEDING) - coalesce(octet_length(state), 0) AS before"
    " FROM (SELECT notification_id, originator_id, originator_version, topic, state"
    " FROM public.workflow_orchestrator_events WHERE {condition}"
    " ORDER BY notification_id LIMIT %s) AS next"
)


def batch_where(condition: str, columns: str) -> str:
    """Columns of the events that meet a condition, in the order of their ids: its values come first, then how
    many there may be, and the room in bytes."""
    summed = _SUMMED.format(condition=condition)
    return f"SELECT {columns} FROM ({summed}) AS summed WHERE before < %s ORDER BY notification_id"  # noqa: S608  names, never values
