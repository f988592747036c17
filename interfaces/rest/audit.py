"""A recorded event as the audit trail shows it."""

from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from pydantic.alias_generators import to_camel

from domain.event import Recorded
from domain.values import timestamp


def audit_event(recorded: Recorded) -> bytes:
    """One event: what happened, when, who caused it, and through what."""
    return msgspec.json.encode(shown_event(recorded))


def shown_event(recorded: Recorded) -> dict[str, Any]:
    """The same, to be put into something larger."""
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
    shown["data"] = _shown(recorded.event)
    return shown


def _shown(value: object) -> object:
    """Our own fields in camelCase and our times in milliseconds; what others gave us stays as it came."""
    if isinstance(value, msgspec.Struct):
        fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
        return {_camel(name): _shown(field) for name, field in fields if field is not None}
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, tuple):
        return [_shown(each) for each in value]
    return value


_camel = lru_cache(maxsize=None)(to_camel)
