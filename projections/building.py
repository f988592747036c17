"""Documents built anew from the whole log, beside the live ones: as fast as can be, and to be gone on with.

The log is read and decoded once for all projections. Documents stay decoded as long as they may be needed
soon, and of each only the last state in a batch is written. The next batch is folded while one is written.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup

from domain.archived import ArchivedEvent, documents_left
from domain.event import Recorded
from domain.privacy import ErasureCarriedOut
from projections.ports import Container, Document, Log
from projections.projection import Key, Projection, State, decoded, follow
from projections.remaking import states_of
from projections.size_limit import encoded_within_limit

BATCH = 5_000
"""Events. A larger one is no faster, and takes more memory."""

_KEPT = 5_000
"""Documents of a container that are kept decoded, twice over: some 10 KB each."""

_WINDOW_SECONDS = 5.0
_COUNT_AGAIN_SECONDS = 2.0

Watch = Callable[[str, Key, State], None]
"""Told of a container, a key, and the state that a document has come to."""

log = structlog.get_logger(__name__)


class Progress(msgspec.Struct, frozen=True):
    """How far a build has come: events handled, about how many there are still, and how many a second."""

    position: str | None
    handled: int
    left: int
    rate: float
    at: datetime

    @property
    def seconds_left(self) -> float | None:
        """An estimate; none before there is a rate."""
        return self.left / self.rate if self.rate else None


class Site(Protocol):
    """Where documents are built. Nobody else writes there."""

    async def get_many(self, container: Container, keys: Sequence[Key]) -> dict[Key, Document]:
        """Those of the (tenant, id) keys that have been built."""
        ...

    async def write(
        self,
        made: Mapping[str, Sequence[Document]],
        progress: Progress,
        remade: Mapping[str, Sequence[Document]],
    ) -> None:
        """Write documents by container, and how far all have come, at once.

        One that is there at the same or a later version stays as it is, but for what is ``remade``, or taken
        away where it has no body.
        """
        ...


class Live(Protocol):
    """The live documents: what the log does not make any more is taken from there."""

    async def get_many(self, container: Container, keys: Sequence[Key]) -> dict[Key, Document]:
        """Those of the (tenant, id) keys that exist."""
        ...


class StreamedLog(Log, Protocol):
    """A log whose streams can be asked for."""

    async def load_left(self, stream: str) -> Sequence[Recorded]:
        """Every event of a stream, or what is left of them."""
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
        live: Live,
        now: Callable[[], datetime],
        tell: Callable[[Progress], None] = lambda progress: None,
        batch_size: int = BATCH,
    ) -> None:
        self._folds = [
            _Fold(projection, site, live, may_be_there=begun is not None) for projection in projections
        ]
        self._log = log
        self._site = site
        self._now = now
        self._tell = tell
        self._batch_size = batch_size
        self._position = begun.position if begun else None
        self._handled = begun.handled if begun else 0
        self.watch: Watch | None = None
        """Told of every state that a document comes through, for as long as it is set."""
        self._pace: deque[tuple[float, int]] = deque()
        self._left = 0
        self._counted_at = -_COUNT_AGAIN_SECONDS

    @property
    def position(self) -> str | None:
        """The position up to which all documents are built."""
        return self._position

    @property
    def handled(self) -> int:
        """How many events have been handled, by whomever."""
        return self._handled

    async def catch_up(self, *, is_beyond: Callable[[str], bool] = lambda position: False) -> int:
        """Build what the log holds now, up to the last position that is not beyond; of how many events."""
        before = self._handled
        try:
            async with anyio.create_task_group() as writing:
                await self._follow(writing, is_beyond)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return self._handled - before

    async def _follow(self, writing: TaskGroup, is_beyond: Callable[[str], bool]) -> None:
        (partition,) = await self._log.partitions()
        size = self._batch_size
        written = anyio.Event()
        written.set()
        while size and (batch := await self._log.read(partition, self._position, size)) is not None:
            if is_beyond(batch.position):
                size = min(size, len(batch.events)) // 2
                continue
            archived = [each for each in batch.events if isinstance(each, ArchivedEvent)]
            made = {fold.name: await fold.over(batch.events, archived, self.watch) for fold in self._folds}
            self._position = batch.position
            self._handled += len(batch.events)
            progress = await self._progress(partition)
            await written.wait()
            remade = await self._remade(batch.events)
            written = anyio.Event()
            writing.start_soon(self._write, made, progress, remade, written)

    async def _write(
        self,
        made: Mapping[str, Sequence[Document]],
        progress: Progress,
        remade: Mapping[str, Sequence[Document]],
        written: anyio.Event,
    ) -> None:
        await self._site.write(made, progress, remade)
        self._tell(progress)
        written.set()

    async def _remade(self, events: Sequence[Recorded]) -> Mapping[str, Sequence[Document]]:
        """What was built before an erasure that a batch tells of, once all before the batch is written."""
        remade: dict[str, list[Document]] = {fold.name: [] for fold in self._folds}
        for event in (recorded.event for recorded in events):
            if isinstance(event, ErasureCarriedOut):
                for stream in event.streams:
                    loaded = await self._log.load_left(stream)
                    for fold in self._folds:
                        remade[fold.name] += await fold.remade(loaded)
        return remade

    async def _progress(self, partition: str) -> Progress:
        now = anyio.current_time()
        self._pace.append((now, self._handled))
        while now - self._pace[0][0] > _WINDOW_SECONDS and len(self._pace) > 2:
            self._pace.popleft()
        (since, handled), *_ = self._pace
        rate = (self._handled - handled) / (now - since) if now > since else 0.0
        if now - self._counted_at >= _COUNT_AGAIN_SECONDS:
            self._left = await self._log.count_after(partition, self._position)
            self._counted_at = now
        elif len(self._pace) > 1:
            self._left = max(0, self._left - (self._handled - self._pace[-2][1]))
        return Progress(self._position, self._handled, self._left, rate, self._now())


class _Fold:
    """One projection over batch after batch."""

    def __init__(self, projection: Projection, site: Site, live: Live, *, may_be_there: bool) -> None:
        self.name = projection.container.name
        self._projection = projection
        self._site = site
        self._live = live
        self._may_be_there = may_be_there
        self._recent: dict[Key, State] = {}
        self._before: dict[Key, State] = {}

    async def over(
        self, events: Sequence[Recorded], archived: Sequence[ArchivedEvent], watch: Watch | None
    ) -> list[Document]:
        """The documents that a batch makes or changes, in their last state."""
        carried = await self._carried(archived)
        reads = self._projection.reads
        wanted = [(recorded, ids) for recorded in events if (ids := reads(recorded.event))]
        if not wanted:
            return carried
        await self._bring_in({(recorded.meta.tenant, id) for recorded, ids in wanted for id in ids})
        changed: dict[Key, None] = {}
        for recorded, ids in wanted:
            try:
                keys = follow(self._projection, self._recent, recorded, ids)
                changed.update(dict.fromkeys(keys))
                if watch is not None:
                    for key in keys:
                        watch(self.name, key, self._recent[key])
            except MemoryError:
                raise
            except Exception:
                self._leave_behind(recorded.stream, recorded.version)
        made = carried
        for key in changed:
            version, body = self._recent[key]
            try:
                made.append(Document(*key, version, encoded_within_limit(body)))
            except MemoryError:
                raise
            except Exception:
                self._leave_behind("/".join(key), version)
        self._let_go()
        return made

    async def _carried(self, archived: Sequence[ArchivedEvent]) -> list[Document]:
        """The live documents of what was archived; they do not change any more."""
        keys = documents_left(self.name, archived)
        return list((await self._live.get_many(self._projection.container, keys)).values()) if keys else []

    async def remade(self, events: Sequence[Recorded]) -> list[Document]:
        """The documents of one stream that there are, made again at the versions that they are at.

        Nobody can make those of an archived one again: without a body they are taken away.
        """
        if gone := documents_left(self.name, events):
            return [Document(*key, 0, b"") for key in gone]
        states = states_of(self._projection, events)
        if not states:
            return []
        await self._bring_in(set(states))
        remade = []
        for key, by_version in states.items():
            if key in self._recent and (state := by_version.get(self._recent[key][0])) is not None:
                self._recent[key] = state
                remade.append(Document(*key, state[0], encoded_within_limit(state[1])))
        return remade

    async def _bring_in(self, keys: set[Key]) -> None:
        """Have in mind what there is of the documents: what is being written was in mind a moment ago."""
        missing = keys.difference(self._recent)
        for key in missing & self._before.keys():
            self._recent[key] = self._before[key]
            missing.discard(key)
        if missing and self._may_be_there:
            for key, document in (
                await self._site.get_many(self._projection.container, list(missing))
            ).items():
                self._recent[key] = (document.version, decoded(document.body))

    def _let_go(self) -> None:
        if len(self._recent) > _KEPT:
            self._may_be_there = True
            self._before, self._recent = self._recent, {}

    def _leave_behind(self, what: str, version: int) -> None:
        """As a follower would: the document stays as it is, and the others go on."""
        log.exception("document_left_behind", projection=self.name, what=what, version=version)
