"""Recorded events to stored bytes and back, one C call each way.

The stored state is ``{"v", "at", "meta", "data"}`` in JSON: the payload's schema version, the time,
the metadata and the payload. A payload stored at an older version is taken through its upcasters.
"""

from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec
from eventsourcing.persistence import Mapper, StoredEvent

from domain.event import Event, Metadata, Recorded, type_registry

T = TypeVar("T")


class _Stored(msgspec.Struct, Generic[T], frozen=True):
    v: int
    at: datetime
    meta: Metadata
    data: T


class UnknownTopic(LookupError):
    """A stored event's topic is registered nowhere: its module is not imported, or it was removed."""


class EventMapper(Mapper[str]):
    """The library's mapper for :class:`Recorded`."""

    def to_stored_event(self, domain_event: Recorded) -> StoredEvent:  # type: ignore[override]
        """The event as the recorder stores it."""
        event = domain_event.event
        state = _encoder.encode(
            _Stored(event.SCHEMA_VERSION, domain_event.timestamp, domain_event.meta, event)
        )
        return StoredEvent(domain_event.stream, domain_event.version, event.TOPIC, state)

    def to_domain_event(self, stored_event: StoredEvent) -> Recorded:  # type: ignore[override]
        """The event as it was recorded, in the payload's present schema version.

        Raises:
            UnknownTopic: nothing is registered under the stored topic.
            msgspec.ValidationError: the stored payload does not fit, not even upcast.
        """
        stored = _decode(stored_event.topic, stored_event.state)
        return Recorded(
            stream=str(stored_event.originator_id),
            version=stored_event.originator_version,
            timestamp=stored.at,
            meta=stored.meta,
            event=stored.data,
        )


_encoder = msgspec.json.Encoder()
_version_decoder = msgspec.json.Decoder(_Stored[msgspec.Raw])


def _decode(topic: str, state: bytes) -> _Stored[Event]:
    event_type, decoder = _decoder_for(topic)
    if event_type.SCHEMA_VERSION == 1:
        return decoder.decode(state)
    raw = _version_decoder.decode(state)
    if raw.v == event_type.SCHEMA_VERSION:
        return decoder.decode(state)
    fields: dict[str, Any] = msgspec.json.decode(raw.data)
    for version in range(raw.v, event_type.SCHEMA_VERSION):
        fields = event_type.UPCASTERS[version](fields)
    payload = msgspec.convert(fields, event_type)
    return _Stored(event_type.SCHEMA_VERSION, raw.at, raw.meta, payload)


@cache
def _decoder_for(topic: str) -> tuple[type[Event], msgspec.json.Decoder[_Stored[Event]]]:
    try:
        event_type = type_registry[topic]
    except KeyError:
        raise UnknownTopic(f"no event is registered under the stored topic {topic!r}") from None
    return event_type, msgspec.json.Decoder(_Stored[event_type])  # type: ignore[valid-type]
