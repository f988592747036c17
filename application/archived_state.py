"""What is stored in an event's place once it is in an archive: what it was, its hash, and where it is.

It is short, a list without names, because there are as many of these as there were events. The hash chain
continues over it, because it has the hash of what was there. That does not make it possible to hide a change:
a hash other than the original fits neither the chain nor an anchor, and what it would hide is in the archive.
"""

import base64
import binascii
from datetime import datetime

import msgspec

from domain.archived import ArchivedEvent, Moved
from domain.event import Event, Metadata

BEGINNING = b'{"archived":'
"""No stored event begins like this. PostgreSQL's append looks for it (``0009_archive.sql``)."""

SUFFIX = ".ndjson.gz"

_LEAF_BYTES = 32


class Left(msgspec.Struct, frozen=True, array_like=True):
    """What is left of an event. ``archive`` is the file's name without its tenant and its ending."""

    archive: str
    leaf: str
    v: int
    at: datetime
    actor: str
    correlation_id: str
    causation_id: str | None = None
    moved: Moved | None = None
    keys: tuple[str, ...] = ()
    """The keys of the personal values that are sealed in it, so that an erasure finds the thing."""


class _State(msgspec.Struct, frozen=True):
    archived: Left


class _Sealed(msgspec.Struct, frozen=True):
    key: str


class _Stored(msgspec.Struct, frozen=True):
    v: int
    at: datetime
    meta: Metadata
    sealed: tuple[_Sealed, ...] = ()


_PAYLOAD = Event()

_state = msgspec.json.Decoder(_State)
_stored = msgspec.json.Decoder(_Stored)


def is_archived(state: bytes) -> bool:
    """Return whether a stored state says that the event is in an archive."""
    return state.startswith(BEGINNING)


def file_of(tenant: str, archive: str) -> str:
    """Return the name of an archive's file."""
    return f"{tenant}-{archive}{SUFFIX}"


def archived_state(state: bytes, *, leaf: bytes, archive: str, moved: Moved | None) -> bytes:
    """Return what is to be stored in place of a state.

    Raises:
        msgspec.MsgspecError: it is no state of an event.
    """
    was = _stored.decode(state)
    digits = base64.b64encode(leaf).decode()
    meta = was.meta
    left = Left(
        archive,
        digits,
        was.v,
        was.at,
        meta.actor,
        meta.correlation_id,
        meta.causation_id,
        moved,
        tuple({each.key for each in was.sealed}),
    )
    return msgspec.json.encode(_State(left))


def left_of(state: bytes) -> Left | None:
    """Return what is left of an event, or None if it is in no archive, or if that cannot be read."""
    if not is_archived(state):
        return None
    try:
        return _state.decode(state).archived
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def archived_leaf(state: bytes) -> bytes | None:
    """Return the hash of what was stored before it was moved, or None if it was not moved, or if that is not
    known."""
    left = left_of(state)
    if left is None:
        return None
    try:
        leaf = base64.b64decode(left.leaf, validate=True)
    except (binascii.Error, ValueError):
        return None
    return leaf if len(leaf) == _LEAF_BYTES else None


def archive_of(stream: str, state: bytes) -> str | None:
    """Return the name of the file that has the event of a stream, or None if it is in no archive."""
    left = left_of(state)
    return None if left is None else file_of(stream.partition("/")[0], left.archive)


def archived_event(stream: str, version: int, topic: str, state: bytes) -> ArchivedEvent:
    """Return the event in its place, without its payload.

    Raises:
        msgspec.MsgspecError: it is damaged.
    """
    left = _state.decode(state).archived
    tenant = stream.partition("/")[0]
    return ArchivedEvent(
        stream=stream,
        version=version,
        timestamp=left.at,
        meta=Metadata(
            tenant=tenant,
            actor=left.actor,
            correlation_id=left.correlation_id,
            causation_id=left.causation_id,
            command_id="",
        ),
        event=_PAYLOAD,
        topic=topic,
        schema_version=left.v,
        archive=file_of(tenant, left.archive),
        moved=left.moved,
    )
