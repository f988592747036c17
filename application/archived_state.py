"""What is stored in an event's place once it is in an archive: what it was, its hash, and where it is.

It is short, since there are as many of these as there were events: a list, and no names. The hash chain goes
on over it, since it has the hash of what was there. That is no way to hide a change: a hash that is not the
one of then fits neither the chain nor an anchor; and what it hides is in the archive.
"""

import base64
import binascii
from datetime import datetime

import msgspec

from domain.archived import ArchivedEvent, Moved
from domain.event import Event, Metadata

BEGINNING = b'{"archived":'
"""No stored event begins so; the append of PostgreSQL looks for it (``0009_archive.sql``)."""

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
    """Of the personal values that are sealed in it: an erasure is to find the thing."""


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
    """Whether a stored state says that it is in an archive."""
    return state.startswith(BEGINNING)


def file_of(tenant: str, archive: str) -> str:
    """The name of an archive's file."""
    return f"{tenant}-{archive}{SUFFIX}"


def archived_state(state: bytes, *, leaf: bytes, archive: str, moved: Moved | None) -> bytes:
    """What is to be stored in place of a state.

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
    """What is left of an event; none where it is in no archive, or that cannot be read."""
    if not is_archived(state):
        return None
    try:
        return _state.decode(state).archived
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def archived_leaf(state: bytes) -> bytes | None:
    """The hash of what was stored before it was moved; none where it was not, or that cannot be told."""
    left = left_of(state)
    if left is None:
        return None
    try:
        leaf = base64.b64decode(left.leaf, validate=True)
    except (binascii.Error, ValueError):
        return None
    return leaf if len(leaf) == _LEAF_BYTES else None


def archive_of(stream: str, state: bytes) -> str | None:
    """The name of the file that has the event of a stream; none where it is in no archive."""
    left = left_of(state)
    return None if left is None else file_of(stream.partition("/")[0], left.archive)


def archived_event(stream: str, version: int, topic: str, state: bytes) -> ArchivedEvent:
    """The event in its place, without its payload.

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
