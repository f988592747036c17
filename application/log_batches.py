"""How much of the log is read at once: a number of events, or of bytes, whichever is reached first.

The event that reaches either limit fills the batch. So one event passes however large it is, and a reader
that gets less than a full batch has reached the log's end; the number of events alone does not show that (ADR
39).
"""

from bisect import bisect_right
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import NamedTuple, Protocol, TypeVar

import msgspec
from eventsourcing.persistence import StoredEvent

from application.log_copy import Entry
from domain.event import Recorded

T = TypeVar("T")

BATCH_BYTES = 4 * 1024 * 1024
"""The size of events as they are stored. In memory they may take seven times that. 5,000 ordinary events are
smaller, so that their number alone limits a batch."""

PAGE_BYTES = 2 * 1024 * 1024
"""The size of events, or documents, that somebody is shown at once. 200 ordinary ones are smaller."""

BATCH_EVENTS = 5_000
"""The number of events of streams that are read from some version on."""

ORDINARY_BYTES = 1_600
"""The size of an ordinary event as it is stored. A number of such events limits what is remembered, and a
larger event counts for several. In memory an event takes up to seven times that, if it has many small
objects."""


def weight_of(events: int, size: int) -> int:
    """Return what it costs to remember some events of ``size`` bytes, counted in ordinary events."""
    return max(events, size // ORDINARY_BYTES)


class LogBatch(msgspec.Struct, frozen=True):
    """Events of one partition in log order, and the opaque position after the last of them."""

    events: tuple[Recorded, ...]
    position: str
    passed: int
    """How many events the position leads past, including those that nobody wanted."""
    size: int = 0
    """The bytes of the events as they are stored."""
    is_cut: bool = False
    """Whether it was full, so that there may be more behind it now. Otherwise it leads to the log's end."""

    @property
    def weight(self) -> int:
        """What it costs to remember the events, counted in ordinary ones."""
        return weight_of(len(self.events), self.size)


class Stored(Protocol):
    """An event as it is stored."""

    @property
    def state(self) -> bytes:
        """Its bytes."""
        ...


def is_full(events: int, size: int, limit: int) -> bool:
    """Return whether there may be more behind so many events, of so many bytes together."""
    return events >= limit or size >= BATCH_BYTES


def is_full_of(stored: Sequence[Stored], limit: int) -> bool:
    """Return the same for events that were read."""
    return len(stored) >= limit or size_of(stored) >= BATCH_BYTES


def bytes_of(stored: Stored) -> int:
    """Return the size of an event."""
    return len(stored.state)


def size_of(stored: Iterable[Stored]) -> int:
    """Return the size of some events together."""
    return sum(len(each.state) for each in stored)


def taken(rows: Iterable[T], size: Callable[[T], int], room: int) -> list[T]:
    """Return the rows up to the one that fills the room in bytes. Those behind it are not read."""
    found: list[T] = []
    for row in rows:
        found.append(row)
        room -= size(row)
        if room <= 0:
            break
    return found


async def taken_as_they_come(
    rows: AsyncIterable[T], size: Callable[[T], int], room: int, *, one_more: bool = False
) -> list[T]:
    """Return the same for asynchronous rows; with ``one_more``, one row further, which shows that there are
    more."""
    found: list[T] = []
    async for row in rows:
        found.append(row)
        if room <= 0:
            break
        room -= size(row)
        if room <= 0 and not one_more:
            break
    return found


def page_of(
    rows: Iterable[T], limit: int, size: Callable[[T], int], room: int | None
) -> tuple[list[T], bool]:
    """Return the rows up to the one that fills a page, and whether there are more: one more row is read."""
    shown: list[T] = []
    for row in rows:
        if len(shown) == limit or (room is not None and room <= 0):
            return shown, True
        shown.append(row)
        if room is not None:
            room -= size(row)
    return shown, False


def streams_in_parts(
    streams: Mapping[str, int], read: Callable[[Mapping[str, int]], Sequence[StoredEvent]]
) -> Iterator[Sequence[StoredEvent]]:
    """Yield the events of streams after versions. ``read`` returns at most a full batch of what it is asked
    for, ordered by stream and version."""
    while streams:
        found = read(streams)
        is_cut = is_full_of(found, BATCH_EVENTS)
        yield found
        if not is_cut:
            break
        stream, version = str(found[-1].originator_id), found[-1].originator_version
        unread = list(streams)[list(streams).index(stream) :]
        streams = {**{each: streams[each] for each in unread}, stream: version}


class Part(NamedTuple):
    """Some of the ids that were asked for, the lowest that are left, and what there is at them."""

    ids: Sequence[int]
    entries: Mapping[int, Entry]


async def in_parts(
    ids: Collection[int], read: Callable[[Sequence[int]], Awaitable[Sequence[Entry]]]
) -> AsyncGenerator[Part, None]:
    """Yield what there is at some ids, in their order. ``read`` returns at most a full batch of what it is
    asked for."""
    left = sorted(ids)
    while left:
        found = await read(left)
        asked = left
        if size_of(found) >= BATCH_BYTES:
            asked = left[: bisect_right(left, found[-1].id)]
        yield Part(asked, {entry.id: entry for entry in found})
        left = left[len(asked) :]


async def all_of(parts: AsyncIterator[Part]) -> dict[int, Entry]:
    """Return everything at once."""
    return {id: entry async for part in parts for id, entry in part.entries.items()}
