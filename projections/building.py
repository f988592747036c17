"""Documents built anew from the whole log, beside the live ones: as fast as can be, and to be gone on with.

The log is read and decoded once for all projections. The next batch is folded while one is written. A long
log is folded by several processes, each with a share of the streams; one writes what they all make.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Protocol

import anyio
import msgspec
from anyio.abc import TaskGroup

from domain.errors import first_of
from domain.share import WHOLE
from projections.folding import Folded, Folder, Folding, Made, StreamedLog, Stretch, Watch, WrittenDocuments
from projections.ports import Document
from projections.projection import Projection

BATCH = 5_000
"""Events. A larger one is no faster, and takes more memory."""

_WINDOW_SECONDS = 5.0
_COUNT_AGAIN_SECONDS = 2.0
_COUNTING_IS_WORTH = 50
"""A log of many partitions is counted so seldom that it takes this part of the time."""


class Progress(msgspec.Struct, frozen=True):
    """How far a build has come: the position in each partition of the log, events handled, about how many
    there are still, and how many a second."""

    handled: int
    left: int
    rate: float
    at: datetime
    positions: Mapping[str, str] = {}
    """None in what a release before this one has noted."""

    @property
    def seconds_left(self) -> float | None:
        """An estimate; none before there is a rate."""
        return self.left / self.rate if self.rate else None


class Site(WrittenDocuments, Protocol):
    """Where documents are built. Nobody else writes there."""

    async def write(self, made: Made, progress: Progress, remade: Made) -> None:
        """Write documents by container, and how far all have come, at once.

        One that is there at the same or a later version stays as it is, but for what is ``remade``, or taken
        away where it has no body.
        """
        ...


class Builder:
    """Builds the documents of some projections, from where somebody may have left off."""

    def __init__(
        self,
        projections: Sequence[Projection],
        log: StreamedLog,
        site: Site,
        *,
        begun: Progress | None,
        live: WrittenDocuments,
        now: Callable[[], datetime],
        tell: Callable[[Progress], None] = lambda progress: None,
        batch_size: int = BATCH,
    ) -> None:
        self._folder = Folder(
            projections, log, built=site, live=live, share=WHOLE, may_be_there=begun is not None
        )
        self._log = log
        self._site = site
        self._now = now
        self._tell = tell
        self._batch_size = batch_size
        self._positions = dict(begun.positions) if begun else {}
        self._handled = begun.handled if begun else 0
        self._pace: deque[tuple[float, int]] = deque()
        self._left = 0
        self._count_again_at = 0.0

    @property
    def positions(self) -> Mapping[str, str]:
        """The position of each partition up to which all documents are built."""
        return self._positions

    @property
    def handled(self) -> int:
        """How many events have been handled, by whomever."""
        return self._handled

    async def catch_up(self, *, until: Mapping[str, int] | None = None, watch: Watch | None = None) -> int:
        """Build what the log holds now; of how many events. ``until`` names the partitions, and of each the
        id of the event that it is not to go beyond.

        ``watch`` is told of every state that a document comes through.
        """
        self._folder.watch = watch
        return await self._built_by([self._folder], until)

    async def catch_up_by(self, folders: Sequence[Folding], *, until: Mapping[str, int]) -> int:
        """The same by others, who have all shares among them. The log holds ``until`` already: so each of
        them finds the same batches, as long as no archive takes events."""
        handled = await self._built_by(folders, until)
        self._folder.expect_built()
        return handled

    async def _built_by(self, folders: Sequence[Folding], until: Mapping[str, int] | None) -> int:
        before = self._handled
        try:
            async with anyio.create_task_group() as writing:
                await self._follow(writing, folders, until)
        except ExceptionGroup as failed:
            raise first_of(failed.exceptions) from None
        return self._handled - before

    async def _follow(
        self, writing: TaskGroup, folders: Sequence[Folding], until: Mapping[str, int] | None
    ) -> None:
        written = anyio.Event()
        written.set()
        async with aclosing(self._batches(folders, until)) as batches:
            async for folded in batches:
                made = together([each.made for each in folded])
                progress = await self._progress()
                await written.wait()
                remade: Made = {}
                if folded[0].has_erasures:
                    remade = together(await asyncio.gather(*(folder.remade() for folder in folders)))
                written = anyio.Event()
                writing.start_soon(self._write, made, progress, remade, written)

    async def _batches(
        self, folders: Sequence[Folding], until: Mapping[str, int] | None
    ) -> AsyncGenerator[Sequence[Folded]]:
        """What all shares make of each batch, one partition after the other. They are at the next one by
        then, unless there is something to be ``remade`` first.

        Where an archive takes events' bytes out of the log between two readings of a batch, one goes further
        than the other: all go on behind the shorter, and what comes again changes nothing.
        """
        for partition in await self._log.partitions() if until is None else until:
            last = None if until is None else until[partition]
            asked = self._asked(folders, partition, last)
            try:
                while folded := sorted(filter(None, await asked), key=lambda part: part.passed):
                    self._positions[partition] = folded[0].position
                    self._handled += folded[0].passed
                    if folded[0].has_erasures:
                        yield folded
                    asked = self._asked(folders, partition, last)
                    if not folded[0].has_erasures:
                        yield folded
            finally:
                await _let_go(asked)

    def _asked(
        self, folders: Sequence[Folding], partition: str, last: int | None
    ) -> asyncio.Future[list[Folded | None]]:
        stretch = Stretch(partition, self._positions.get(partition), self._batch_size, last)
        return asyncio.gather(*(folder.fold(stretch) for folder in folders))

    async def _write(self, made: Made, progress: Progress, remade: Made, written: anyio.Event) -> None:
        await self._site.write(made, progress, remade)
        self._tell(progress)
        written.set()

    async def _progress(self) -> Progress:
        now = anyio.current_time()
        self._pace.append((now, self._handled))
        while now - self._pace[0][0] > _WINDOW_SECONDS and len(self._pace) > 2:
            self._pace.popleft()
        (since, handled), *_ = self._pace
        rate = (self._handled - handled) / (now - since) if now > since else 0.0
        if now >= self._count_again_at:
            self._left = await self._counted()
            took = anyio.current_time() - now
            self._count_again_at = now + max(_COUNT_AGAIN_SECONDS, took * _COUNTING_IS_WORTH)
        elif len(self._pace) > 1:
            self._left = max(0, self._left - (self._handled - self._pace[-2][1]))
        return Progress(self._handled, self._left, rate, self._now(), dict(self._positions))

    async def _counted(self) -> int:
        left = 0
        for partition in await self._log.partitions():
            left += await self._log.count_after(partition, self._positions.get(partition))
        return left


async def _let_go(asked: asyncio.Future[list[Folded | None]]) -> None:
    """Want no answer any more. It is waited for all the same, also by who is cancelled: of what ends with
    nobody to look at it, asyncio writes a traceback into whatever the command says."""
    asked.cancel()
    with anyio.CancelScope(shield=True):
        await asyncio.gather(asked, return_exceptions=True)


def together(parts: Sequence[Made]) -> Mapping[str, Sequence[Document]]:
    """What several have made."""
    if len(parts) == 1:
        return parts[0]
    return {name: [document for part in parts for document in part[name]] for name in parts[0]}
