"""A share of the log's streams folded into documents, batch after batch.

Each document is derived from one stream alone. So whoever has all events of some streams makes their
documents whole, and several can each take a share of the streams, wherever they are at work.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import msgspec
import structlog

from domain.archived import ArchivedEvent, documents_left, was_erased_before
from domain.event import Recorded
from domain.privacy import ErasureCarriedOut
from domain.share import Share
from domain.values import category_of
from projections.ports import Batch, Container, Document, Log
from projections.projection import Key, Projection, State, decoded, follow
from projections.remaking import states_of
from projections.size_limit import encoded_within_limit

UNWRITTEN = 2
"""Batches: one is being written, and one waits for it, while the next is folded."""

_KEPT = 5_000
"""Documents of a container that are kept decoded, twice over: some 10 KB each."""

_LARGE_BYTES = 16 * 1024
_KEPT_BYTES = 8 * 1024 * 1024
"""Of documents that are large, as they are stored: decoded they may take seven times that."""

Watch = Callable[[str, Key, State], None]
"""Told of a container, a key, and the state that a document has come to."""

Made = Mapping[str, Sequence[Document]]
"""Documents by the name of their container."""

log = structlog.get_logger(__name__)


class Stretch(msgspec.Struct, frozen=True):
    """Where a batch begins, how long it may be, and the id of the event that it must not go beyond."""

    partition: str
    after: str | None
    limit: int
    until: int | None = None


class Folded(msgspec.Struct, frozen=True):
    """What a batch makes or changes of a share's documents, and how far it goes."""

    made: dict[str, list[Document]]
    position: str
    passed: int
    """Events in the batch, those of other shares among them."""
    has_erasures: bool


class Part(Batch, Protocol):
    """The wanted events of a batch."""

    @property
    def passed(self) -> int:
        """How many events the position leads past, those among them that were not wanted."""
        ...


class StreamedLog(Log, Protocol):
    """A log of which parts can be read, and whose streams can be asked for."""

    async def read_part(
        self,
        partition: str,
        after: str | None,
        limit: int,
        until: int | None,
        wants: Callable[[str, str], bool],
    ) -> Part | None:
        """The next events after a position, none beyond the id ``until``; decoded are those that are wanted
        by their stream and topic."""
        ...

    async def load_left(self, stream: str) -> Sequence[Recorded]:
        """Every event of a stream, or what is left of them."""
        ...


class WrittenDocuments(Protocol):
    """Reads documents that were written: those that were built, or the live ones."""

    async def get_many(self, container: Container, keys: Sequence[Key]) -> dict[Key, Document]:
        """Return the documents of those (tenant, id) keys that exist."""
        ...


class Folding(Protocol):
    """Folds a share, here or elsewhere."""

    async def fold(self, stretch: Stretch) -> Folded | None:
        """The next batch; nothing where there are no more events. What the last :data:`UNWRITTEN` came to may
        not be written yet."""
        ...

    async def remade(self) -> Made:
        """What was built before an erasure that the last batch tells of, once all before is written."""
        ...


def wants(share: Share, stream: str, topic: str) -> bool:
    """Whether an event is for a share of the streams: an erasure is for each."""
    return share.is_whole or topic == ErasureCarriedOut.TOPIC or share.has(stream)


class Folder:
    """Folds a share in this process.

    Documents stay decoded as long as they may be needed soon, and of each only the last state in a batch is
    given. What is ``built`` is read only once something of it ``may_be_there``.
    """

    def __init__(
        self,
        projections: Sequence[Projection],
        log: StreamedLog,
        *,
        built: WrittenDocuments,
        live: WrittenDocuments,
        share: Share,
        may_be_there: bool,
    ) -> None:
        self._folds = [_Fold(each, built, live, may_be_there=may_be_there) for each in projections]
        self._log = log
        self._share = share
        self._erased: list[tuple[str, str, int]] = []
        """Streams that the last batch's erasures name, with the key and the version of each erasure."""
        self.watch: Watch | None = None
        """Told of every state that a document comes through, for as long as it is set."""

    def expect_built(self) -> None:
        """Others have built something meanwhile."""
        for fold in self._folds:
            fold.forget()

    async def fold(self, stretch: Stretch) -> Folded | None:
        """The next batch of the share; nothing where the log has no more events."""
        batch = await self._log.read_part(
            stretch.partition, stretch.after, stretch.limit, stretch.until, partial(wants, self._share)
        )
        if batch is None:
            return None
        events = batch.events
        archived = [each for each in events if isinstance(each, ArchivedEvent)]
        by_category: dict[str, list[Recorded]] = {}
        for each in events:
            by_category.setdefault(category_of(each.stream), []).append(each)
        made = {
            fold.name: await fold.over(by_category.get(fold.category, ()), archived, self.watch)
            for fold in self._folds
        }
        has_erasures, self._erased = False, []
        for recorded in events:
            if isinstance(erasure := recorded.event, ErasureCarriedOut):
                has_erasures = True
                named = [stream for stream in erasure.streams if self._share.has(stream)]
                self._erased += [(stream, erasure.key_id, recorded.version) for stream in named]
        return Folded(made, batch.position, batch.passed, has_erasures=has_erasures)

    async def remade(self) -> Made:
        """What was built before an erasure that the last batch tells of, once all before is written."""
        remade: dict[str, list[Document]] = {fold.name: [] for fold in self._folds}
        for stream, key_id, version in self._erased:
            folds = [fold for fold in self._folds if fold.category == category_of(stream)]
            loaded = await self._log.load_left(stream) if folds else ()
            if was_erased_before(loaded, key_id, version):
                continue
            for fold in folds:
                remade[fold.name] += await fold.remade(loaded)
        return remade


class _Fold:
    """One projection over batch after batch."""

    def __init__(
        self, projection: Projection, built: WrittenDocuments, live: WrittenDocuments, *, may_be_there: bool
    ) -> None:
        self.name = projection.container.name
        self.category = projection.category
        self._projection = projection
        self._built = built
        self._live = live
        self._may_be_there = may_be_there
        self._recent: dict[Key, State] = {}
        self._before: dict[Key, State] = {}
        self._batches = 0
        """Those of which all documents are in ``_recent``."""
        self._large_bytes = 0
        """Of the large ones in ``_recent``, each as often as it was made or read."""

    def forget(self) -> None:
        """Have nothing in mind: all of it may be there, and further than we know."""
        self._may_be_there = True
        self._recent, self._before, self._large_bytes = {}, {}, 0

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
                encoded = encoded_within_limit(body)
                made.append(Document(*key, version, encoded))
                if len(encoded) > _LARGE_BYTES:
                    self._large_bytes += len(encoded)
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
                await self._built.get_many(self._projection.container, list(missing))
            ).items():
                self._recent[key] = (document.version, decoded(document.body))
                if len(document.body) > _LARGE_BYTES:
                    self._large_bytes += len(document.body)

    def _let_go(self) -> None:
        self._batches += 1
        is_much = len(self._recent) > _KEPT or self._large_bytes > _KEPT_BYTES
        if is_much and self._batches >= UNWRITTEN:
            self._may_be_there = True
            self._before, self._recent, self._batches, self._large_bytes = self._recent, {}, 0, 0

    def _leave_behind(self, what: str, version: int) -> None:
        """As a follower would: the document stays as it is, and the others go on."""
        log.exception("document_left_behind", projection=self.name, what=what, version=version)
