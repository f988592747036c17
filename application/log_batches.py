"""How much of the log is read at once: so many events, or so many bytes of them, whichever is there first.

A batch is full with the event that brings it to either. So one event passes however large it is, and who gets
less than a full batch has come to the log's end: the number of events alone does not tell that (ADR 39).
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
"""As events are stored; in memory they may be seven times as large. 5,000 ordinary ones are less, so that
they are cut by their number alone."""

PAGE_BYTES = 2 * 1024 * 1024
"""Of events, or documents, that somebody is shown at once. 200 ordinary ones are less."""

BATCH_EVENTS = 5_000
"""Of streams that are read from some version on."""

ORDINARY_BYTES = 1_600
"""Of an event as it is stored. What is remembered is bounded by a number of such events: a larger one counts
for several. In memory an event is up to seven times as large, where it is many small objects."""


def weight_of(events: int, size: int) -> int:
    """What it costs to remember some events of ``size`` bytes, in ordinary events."""
    return max(events, size // ORDINARY_BYTES)


class LogBatch(msgspec.Struct, frozen=True):
    """Events of one partition in log order, and the opaque position after the last of them."""

    events: tuple[Recorded, ...]
    position: str
    passed: int
    """How many events the position leads past, those among them that nobody wanted."""
    size: int = 0
    """How many bytes of the events are stored."""
    is_cut: bool = False
    """Whether it was full, so that there may be more behind it at once; else it leads to the log's end."""

    @property
    def weight(self) -> int:
        """What it costs to remember the events, in ordinary ones."""
        return weight_of(len(self.events), self.size)


class Stored(Protocol):
    """An event as it is stored."""

    @property
    def state(self) -> bytes:
        """Its bytes."""
        ...


def is_full(events: int, size: int, limit: int) -> bool:
    """Whether behind so many events, of so many bytes together, there may be more at once."""
    return events >= limit or size >= BATCH_BYTES


def is_full_of(stored: Sequence[Stored], limit: int) -> bool:
    """The same of events that were read."""
    return len(stored) >= limit or size_of(stored) >= BATCH_BYTES


def bytes_of(stored: Stored) -> int:
    """How many bytes an event is."""
    return len(stored.state)


def size_of(stored: Iterable[Stored]) -> int:
    """How many some are together."""
    return sum(len(each.state) for each in stored)


def taken(rows: Iterable[T], size: Callable[[T], int], room: int) -> list[T]:
    """Rows up to the one that fills the room in bytes; those behind it are not asked for."""
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
    """The same of rows that are waited for, or ``one_more``, which tells that there are more."""
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
    """Rows up to the one that makes a page full, and whether there are more: one more is asked for."""
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
    """The events of streams after versions; ``read`` gives a full batch at most of what it is asked, in the
    order of the streams and of their versions."""
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
    """Some of the ids that were asked about, the lowest that are left, and what there is at them."""

    ids: Sequence[int]
    entries: Mapping[int, Entry]


async def in_parts(
    ids: Collection[int], read: Callable[[Sequence[int]], Awaitable[Sequence[Entry]]]
) -> AsyncGenerator[Part, None]:
    """What there is at some ids, in their order; ``read`` gives a full batch at most of what it is asked."""
    left = sorted(ids)
    while left:
        found = await read(left)
        asked = left
        if size_of(found) >= BATCH_BYTES:
            asked = left[: bisect_right(left, found[-1].id)]
        yield Part(asked, {entry.id: entry for entry in found})
        left = left[len(asked) :]


async def all_of(parts: AsyncIterator[Part]) -> dict[int, Entry]:
    """All that there is, at once."""
    return {id: entry async for part in parts for id, entry in part.entries.items()}
