"""Recorded events in the form of the audit trail."""

from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from pydantic.alias_generators import to_camel

from domain.archived import ArchivedEvent, Moved
from domain.event import Recorded
from domain.values import timestamp


def audit_event(recorded: Recorded) -> bytes:
    """Return an event as JSON: what happened, when, and what caused it."""
    return msgspec.json.encode(shown_event(recorded))


def shown_event(recorded: Recorded) -> dict[str, Any]:
    """Return an event as a JSON object."""
    archived = recorded if isinstance(recorded, ArchivedEvent) else None
    if archived is None:
        shown = shown_around(recorded, recorded.event.TOPIC, recorded.event.SCHEMA_VERSION)
    else:
        shown = shown_around(recorded, archived.topic, archived.schema_version)
    shown["data"] = _shown(recorded.event)
    if archived is not None:
        shown["archived"] = {"file": archived.archive, **_how(archived.moved)}
    return shown


def shown_around(recorded: Recorded, topic: str, schema_version: int) -> dict[str, Any]:
    """Return an event without its payload."""
    meta = recorded.meta
    shown: dict[str, Any] = {
        "eventId": recorded.event_id,
        "type": topic,
        "schemaVersion": schema_version,
        "version": recorded.version,
        "timestamp": timestamp(recorded.timestamp),
        "actor": meta.actor,
        "correlationId": meta.correlation_id,
    }
    if meta.command_id:
        shown["commandId"] = meta.command_id
    if meta.causation_id is not None:
        shown["causationId"] = meta.causation_id
    return shown


def _how(moved: Moved | None) -> dict[str, Any]:
    """Return how a resource was moved to its archive. Only its first event has this."""
    if moved is None:
        return {}
    return {name: getattr(moved, name) for name in ("sha256", "events", "at", "by", "why")}


def _shown(value: object) -> object:
    """Return our own fields in camelCase and our own times in milliseconds. Values of others stay as they
    are."""
    if isinstance(value, msgspec.Struct):
        fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
        return {_camel(name): _shown(field) for name, field in fields if field is not None}
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, tuple):
        return [_shown(each) for each in value]
    return value


_camel = lru_cache(maxsize=None)(to_camel)
