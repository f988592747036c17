"""A recorded event as the audit trail shows it."""

from typing import Any

import msgspec

from domain.event import Recorded
from domain.values import timestamp


def audit_event(recorded: Recorded) -> bytes:
    """One event: what happened, when, who caused it, and through what."""
    meta = recorded.meta
    shown: dict[str, Any] = {
        "eventId": str(recorded.event_id),
        "type": recorded.event.TOPIC,
        "schemaVersion": recorded.event.SCHEMA_VERSION,
        "version": recorded.version,
        "timestamp": timestamp(recorded.timestamp),
        "actor": meta.actor,
        "correlationId": meta.correlation_id,
        "commandId": meta.command_id,
    }
    if meta.causation_id is not None:
        shown["causationId"] = meta.causation_id
    shown["data"] = recorded.event
    return _encode(shown)


_encode = msgspec.json.Encoder().encode
