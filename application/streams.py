"""Reads streams of the log in parts, because a stream may have more bytes than fit in memory."""

from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar

import msgspec

from application.deciders import Committed
from application.event_log import MAX_VERSION, EventLog, failures_translated
from application.log_batches import BATCH_EVENTS, is_full_of
from application.pasts import Events, Evolve, Past, Pasts
from application.workers import Workers, one_by_one
from domain.archived import refuse_archived
from domain.event import Recorded

R = TypeVar("R")

MOST_WAITING = 256
TURN_SECONDS = 3.0
PATIENCE_SECONDS = 10.0


class StreamPart(msgspec.Struct, frozen=True):
    """Some events of a stream. ``is_cut``: there may be more behind them now."""

    events: Events
    is_cut: bool


class Streams:
    """Reads streams, from one event loop, each time on a thread.

    All raise StoreUnavailable when the store is away.
    """

    def __init__(self, log: EventLog, pasts: Pasts) -> None:
        self._log = log
        self._pasts = pasts
        self._looking = asking_threads(log.ours.reads_at_once, MOST_WAITING)

    async def load(self, stream: str) -> Events:
        """Return all events of a stream, the oldest first, or none if there is no such stream.

        Raises:
            ThingArchived: they were moved to an archive.
        """
        return tuple([recorded async for part in self.parts_of(stream) for recorded in part])

    async def load_left(self, stream: str) -> Events:
        """Return the same, or what is left of them in the log."""
        return tuple([recorded async for part in self._parts_left(stream) for recorded in part])

    async def parts_of(self, stream: str, until: int = MAX_VERSION) -> AsyncGenerator[Events, None]:
        """Yield all events of a stream, up to a version, a full batch at a time, for callers that need not
        have all of them at once.

        Raises:
            ThingArchived: they were moved to an archive.
        """
        async for part in self._parts_left(stream, until):
            refuse_archived(part)
            yield part

    async def parts_left_by(self, committed: Committed) -> AsyncGenerator[Events, None]:
        """Yield the same up to the version after a command."""
        if committed.past.events is not None:
            yield committed.past.events[: committed.version]
            return
        async for part in self.parts_of(committed.stream, committed.version):
            yield part

    async def read_stream(self, stream: str, *, after: int, limit: int) -> StreamPart:
        """Return the next events of a stream after a version, the oldest first, up to a full batch."""

        def select() -> StreamPart:
            stored = self._log.ours.select_streams({stream: after}, limit)
            return StreamPart(self._log.all_recorded(stored), is_full_of(stored, limit))

        return await self._look(select)

    async def present(self, stream: str, evolve: Evolve) -> Past:
        """Return the present state of a stream, at version 0 if there is none. It costs the same however long
        the stream is."""
        past = await self._look(lambda: self._pasts.read({stream: evolve})[stream])
        if isinstance(past, Exception):
            raise past
        return past

    async def history(
        self, stream: str, *, before: int | None, limit: int
    ) -> tuple[tuple[Recorded, ...], int]:
        """Return up to ``limit`` events below version ``before``, the newest first, or a full page of them,
        and the stream's version."""

        def select() -> tuple[tuple[Recorded, ...], int]:
            newest = self._log.ours.select_before(stream, None, limit if before is None else 1)
            if not newest:
                return (), 0
            version = newest[0].originator_version
            found = newest if before is None else self._log.ours.select_before(stream, before, limit)
            return self._log.all_recorded(found), version

        return await self._look(select)

    async def _parts_left(self, stream: str, until: int = MAX_VERSION) -> AsyncGenerator[Events, None]:
        after, is_cut = 0, True
        while is_cut and after < until:
            part = await self.read_stream(stream, after=after, limit=BATCH_EVENTS)
            events, is_cut = part.events, part.is_cut
            if not events:
                break
            after = events[-1].version
            yield events if after <= until else tuple(each for each in events if each.version <= until)

    async def _look(self, work: Callable[[], R]) -> R:
        found: R = await self._looking(translating(work))
        return found


def asking_threads(size: int, most_waiting: int) -> Workers[Callable[[], Any], Any]:
    """Return threads that execute up to so many single queries of the log at once."""
    return Workers(
        one_by_one,
        size=size,
        at_once=1,
        most_waiting=most_waiting,
        turn_seconds=TURN_SECONDS,
        patience_seconds=PATIENCE_SECONDS,
    )


def translating(work: Callable[[], R]) -> Callable[[], R]:
    """Return a query of the log that raises the library's errors as ours."""

    def translated() -> R:
        with failures_translated():
            return work()

    return translated
