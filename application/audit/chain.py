"""The hash chain over a tenant's events: what is hashed, and how one hash follows from another.

Anybody can compute it from the stored bytes alone. ``docs/audit.md`` describes it for people who check it
with their own program, so it never changes: another way would be another format.
"""

from hashlib import sha256
from struct import Struct

import msgspec

from application.archived_state import archived_leaf
from application.log_copy import Entry

FORMAT = "workflow-orchestrator audit v1"

_LEAF = b"workflow-orchestrator audit v1 leaf\n"
_GENESIS = b"workflow-orchestrator audit v1 genesis\n"
_LINK = b"workflow-orchestrator audit v1 link\n"

_size = Struct(">Q").pack


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a tenant's chain after ``number`` events, the last of them at ``position`` of the log."""

    tenant: str
    number: int
    position: int
    chain: bytes
    latest_at: int = 0
    """The latest time of any event so far, in microseconds since 1970."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """An event's place in its tenant's chain."""

    number: int
    leaf: bytes
    chain: bytes


def leaf_of(stream: str, version: int, topic: str, state: bytes) -> bytes:
    """Return SHA-256 of what an event is: each part follows its size, so that no two events give the same
    bytes."""
    name, kind = stream.encode(), topic.encode()
    return sha256(
        b"".join(
            (
                _LEAF,
                _size(len(name)),
                name,
                _size(version),
                _size(len(kind)),
                kind,
                _size(len(state)),
                state,
            )
        )
    ).digest()


def leaf_of_entry(entry: Entry) -> bytes:
    """Return the hash of what an entry is now."""
    return leaf_of(entry.stream, entry.version, entry.topic, entry.state)


def leaf_in_log(event: Entry) -> bytes:
    """Return the hash of what an event is, or was before it was moved to an archive."""
    archived = archived_leaf(event.state)
    return leaf_of_entry(event) if archived is None else archived


def genesis_of(tenant: str) -> bytes:
    """Return the hash that a tenant's first event follows."""
    return sha256(_GENESIS + tenant.encode()).digest()


def linked(before: bytes, leaf: bytes) -> bytes:
    """Return the hash of the chain with one more event."""
    return sha256(_LINK + before + leaf).digest()


def beginning_of(tenant: str) -> Head:
    """Return the head of a tenant that has no event yet."""
    return Head(tenant=tenant, number=0, position=0, chain=genesis_of(tenant))


def tenant_of(stream: str) -> str:
    """Return the tenant of a stream: the first part of its name."""
    return stream.partition("/")[0]


def link_after(before: Head, event: Entry) -> Link:
    """Return the place of the event that comes next."""
    leaf = leaf_in_log(event)
    return Link(number=before.number + 1, leaf=leaf, chain=linked(before.chain, leaf))
