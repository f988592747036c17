"""Recorded events to stored bytes and back, one C call each way.

The stored state is ``{"v", "at", "meta", "data"}`` in JSON: the payload's schema version, the time,
the metadata and the payload. A payload stored at an older version is taken through its upcasters.
"""

from datetime import datetime
from threading import Lock
from typing import Any, Generic, TypeVar

import msgspec
from eventsourcing.persistence import Mapper, StoredEvent

from application.archived_state import archived_event, is_archived
from domain.event import Event, Metadata, Recorded, type_registry

T = TypeVar("T")


class _Stored(msgspec.Struct, Generic[T], frozen=True):
    v: int
    at: datetime
    meta: Metadata
    data: T


class UnknownTopic(LookupError):
    """A stored event's topic is registered nowhere: its module is not imported, or it was removed."""


class NewerSchema(LookupError):
    """A stored event is of a later schema version than the code: an older service runs on a newer log."""


class EventMapper(Mapper[str]):
    """The library's mapper for :class:`Recorded`."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        for topic in type_registry:
            _decoder_for(topic)

    def to_stored_event(self, domain_event: Recorded) -> StoredEvent:  # type: ignore[override]
        """The event as the recorder stores it."""
        event = domain_event.event
        state = _encoder.encode(
            _Stored(event.SCHEMA_VERSION, domain_event.timestamp, domain_event.meta, event)
        )
        return StoredEvent(domain_event.stream, domain_event.version, event.TOPIC, state)

    def to_domain_event(self, stored_event: StoredEvent) -> Recorded:  # type: ignore[override]
        """The event as it was recorded, in the payload's present schema version; or what is left of it.

        Raises:
            UnknownTopic: nothing is registered under the stored topic.
            NewerSchema: it was stored by a later version of the service.
            msgspec.ValidationError: the stored payload does not fit, not even upcast.
        """
        if is_archived(stored_event.state):
            return archived_event(
                str(stored_event.originator_id),
                stored_event.originator_version,
                stored_event.topic,
                stored_event.state,
            )
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
    known = event_type.SCHEMA_VERSION
    if known == 1:
        stored = decoder.decode(state)
        _refuse_newer(topic, stored.v, known)
        return stored
    raw = _version_decoder.decode(state)
    _refuse_newer(topic, raw.v, known)
    if raw.v == known:
        return decoder.decode(state)
    fields: dict[str, Any] = msgspec.json.decode(raw.data)
    for version in range(raw.v, known):
        fields = event_type.UPCASTERS[version](fields)
    payload = msgspec.convert(fields, event_type)
    return _Stored(known, raw.at, raw.meta, payload)


def _refuse_newer(topic: str, stored: int, known: int) -> None:
    if stored > known:
        raise NewerSchema(f"{topic} is stored at schema version {stored}; this service knows {known}")


_Decoder = tuple[type[Event], msgspec.json.Decoder[_Stored[Event]]]

_decoders: dict[str, _Decoder] = {}
_building = Lock()


def _decoder_for(topic: str) -> _Decoder:
    """One decoder a topic, built by one thread at a time.

    msgspec 0.22 crashes the process when two threads meet a struct type for the first time together.
    """
    found = _decoders.get(topic)
    if found is None:
        with _building:
            found = _decoders.setdefault(topic, _build_decoder(topic))
    return found


def _build_decoder(topic: str) -> _Decoder:
    try:
        event_type = type_registry[topic]
    except KeyError:
        raise UnknownTopic(f"no event is registered under the stored topic {topic!r}") from None
    return event_type, msgspec.json.Decoder(_Stored[event_type])  # type: ignore[valid-type]
