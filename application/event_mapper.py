"""Recorded events to stored bytes and back, one C call each way.

The stored state is ``{"v", "at", "meta", "data"}`` in JSON: the payload's schema version, the time,
the metadata and the payload. A payload stored at an older version is taken through its upcasters. Personal
fields stand sealed beside it, in ``sealed``: see :mod:`application.privacy.sealing`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, Generic, TypeVar

import msgspec
from eventsourcing.persistence import Mapper, StoredEvent

from application.archived_state import archived_event, is_archived
from application.privacy.sealing import Sealed, Sealing, opened_values, put_back, value_keys
from domain.event import Event, Metadata, Recorded
from domain.stored_events import type_registry

T = TypeVar("T")

_SEALED = b'"sealed":'
"""In every state in which a value is sealed, and next to none other."""


class _Stored(msgspec.Struct, Generic[T], frozen=True, omit_defaults=True):
    v: int
    at: datetime
    meta: Metadata
    data: T
    sealed: tuple[Sealed, ...] = ()


class UnknownTopic(LookupError):
    """A stored event's topic is registered nowhere: its module is not imported, or it was removed."""


class NewerSchema(LookupError):
    """A stored event is of a later schema version than the code: an older service runs on a newer log."""


class EventMapper(Mapper[str]):
    """The library's mapper for :class:`Recorded`.

    Without ``sealing`` everything is stored in clear, and what is sealed reads as erased.
    """

    sealing: Sealing | None = None
    too_new: str | None = None
    """What was found that this release cannot read: a newer one has been at work, and this one is of no use
    to whoever asks for that. It stays so: nothing is ever taken from a log."""

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
        if self.sealing is not None:
            state = self.sealing.seal(domain_event, state)
        return StoredEvent(domain_event.stream, domain_event.version, event.TOPIC, state)

    def to_domain_event(self, stored_event: StoredEvent) -> Recorded:  # type: ignore[override]
        """The event as it was recorded, in the payload's present schema version; or what is left of it.

        Raises:
            UnknownTopic: nothing is registered under the stored topic.
            NewerSchema: it was stored by a later version of the service.
            msgspec.ValidationError: the stored payload does not fit, not even upcast.
        """
        return self.to_domain_events([stored_event])[0]

    def to_domain_events(self, stored_events: Sequence[StoredEvent]) -> tuple[Recorded, ...]:
        """Several at once: the keys that they need are asked for together.

        Raises:
            StoreUnavailable: it cannot be told whether there is a key.
        """
        try:
            read = [None if is_archived(each.state) else _read(each) for each in stored_events]
        except NewerSchema as error:
            self.too_new = str(error)
            raise
        wanted = {sealed.key for stored in read if stored is not None for sealed in stored.sealed}
        keys: Mapping[str, bytes] = {}
        if wanted and self.sealing is not None:
            keys = self.sealing.keyring.named(wanted)
        return tuple(
            _left(each) if stored is None else _recorded(each, stored, value_keys(stored.sealed, keys))
            for each, stored in zip(stored_events, read, strict=True)
        )

    def sealed_values(self, stored_event: StoredEvent) -> list[Any]:
        """The values that are sealed in an event, as far as there are keys to them."""
        if self.sealing is None or _SEALED not in stored_event.state:
            return []
        stored = _read(stored_event)
        keys = self.sealing.keyring.named({each.key for each in stored.sealed})
        given = value_keys(stored.sealed, keys)
        return opened_values(
            stored.sealed, given, str(stored_event.originator_id), stored_event.originator_version
        )

    def read_with_keys(self, stored_event: StoredEvent) -> tuple[Recorded, list[bytes | None]]:
        """An event, and for each value that is sealed in it the key to that value, if it is not erased."""
        if is_archived(stored_event.state):
            return _left(stored_event), []
        stored = _read(stored_event)
        keys: Mapping[str, bytes] = {}
        if stored.sealed and self.sealing is not None:
            keys = self.sealing.keyring.named({each.key for each in stored.sealed})
        given = value_keys(stored.sealed, keys)
        return _recorded(stored_event, stored, given), given


def read_with(stored_event: StoredEvent, keys: Sequence[bytes | None]) -> tuple[Recorded, int]:
    """An event, read with the keys of its sealed values alone, and how many of these do not open.

    Raises:
        LookupError, msgspec.MsgspecError: this release cannot read it.
    """
    if is_archived(stored_event.state):
        return _left(stored_event), 0
    stored = _read(stored_event)
    given = [*keys, *[None] * len(stored.sealed)][: len(stored.sealed)]
    return _recorded(stored_event, stored, given), given.count(None)


def read_around(stored_event: StoredEvent) -> tuple[int, Recorded]:
    """The schema version that an event was stored at, and the event without its payload, whatever release
    knows that.

    Raises:
        msgspec.MsgspecError: it is no event.
    """
    stored = _raw_decoder.decode(stored_event.state)
    stream, version = str(stored_event.originator_id), stored_event.originator_version
    return stored.v, Recorded(
        stream=stream, version=version, timestamp=stored.at, meta=stored.meta, event=Event()
    )


def _left(stored_event: StoredEvent) -> Recorded:
    return archived_event(
        str(stored_event.originator_id),
        stored_event.originator_version,
        stored_event.topic,
        stored_event.state,
    )


_encoder = msgspec.json.Encoder()
_raw_decoder = msgspec.json.Decoder(_Stored[msgspec.Raw])

_Read = _Stored[Event] | _Stored[msgspec.Raw]
"""An event as stored; its payload is still raw where something in it is sealed, or its version is old."""


def _read(stored_event: StoredEvent) -> _Read:
    event_type, decoder = _decoder_for(stored_event.topic)
    known = event_type.SCHEMA_VERSION
    if known == 1 and _SEALED not in stored_event.state:
        try:
            stored = decoder.decode(stored_event.state)
        except msgspec.ValidationError:
            _refuse_newer(stored_event.topic, _raw_decoder.decode(stored_event.state).v, known)
            raise
        _refuse_newer(stored_event.topic, stored.v, known)
        return stored
    raw = _raw_decoder.decode(stored_event.state)
    _refuse_newer(stored_event.topic, raw.v, known)
    return raw if raw.sealed or raw.v != known else decoder.decode(stored_event.state)


def _recorded(stored_event: StoredEvent, stored: _Read, keys: Sequence[bytes | None]) -> Recorded:
    stream, version, data = str(stored_event.originator_id), stored_event.originator_version, stored.data
    if isinstance(data, msgspec.Raw):
        fields: dict[str, Any] = msgspec.json.decode(data)
        put_back(fields, stored.sealed, keys, stream, version)
        data = _upcast(type_registry[stored_event.topic], stored.v, fields)
    return Recorded(stream=stream, version=version, timestamp=stored.at, meta=stored.meta, event=data)


def _upcast(event_type: type[Event], version: int, fields: dict[str, Any]) -> Event:
    """The payload, as it was stored at a version, in its present one."""
    for older in range(version, event_type.SCHEMA_VERSION):
        fields = event_type.UPCASTERS[older](fields)
    return msgspec.convert(fields, event_type)


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
