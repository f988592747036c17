"""From events to documents: what a projection is, and how a batch of events is applied to its container."""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from domain.event import Event, Recorded
from domain.interest import Interest
from domain.lease import Lease
from domain.privacy import ErasureCarriedOut
from projections.ports import Container, Document, Documents, Json
from projections.reach import Reach, Wanted
from projections.size_limit import encoded_within_limit

if TYPE_CHECKING:
    from projections.remaking import Remaker

GAP_TRIES = 7
"""With a follower's pauses between them this takes some ten seconds."""

log = structlog.get_logger(__name__)


class Projection(Protocol):
    """A pure fold into one container's documents. Each document is derived from one stream alone, and all of
    them from streams of one category."""

    @property
    def container(self) -> Container:
        """Where the documents are stored."""
        ...

    @property
    def category(self) -> str:
        """The category of the streams."""
        ...

    @property
    def kinds(self) -> UnionType:
        """The events that it may read. It need not be shown any others."""
        ...

    def reads(self, event: Event) -> Sequence[str]:
        """Return the ids of the documents that an event needs or changes; none if it is not for this
        projection."""
        ...

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Return the documents that the event makes or changes, given those that it reads and that exist."""
        ...


class ProjectionGap(Exception):
    """A document is missing that an earlier event must have made. The container needs a rebuild."""


Key = tuple[str, str]
"""A document's tenant and id."""

State = tuple[int, Json]
"""The version of the last event that changed a document, and the document's content."""


def follow(
    projection: Projection, current: MutableMapping[Key, State], recorded: Recorded, ids: Sequence[str]
) -> list[Key]:
    """Apply an event, which reads the documents ``ids``, to ``current``. Return the keys of the documents
    that changed.

    A document of the event's version or a later one stays as it is. Followers, rebuilds and comparisons all
    use this function, so that their results are the same byte for byte.
    """
    tenant = recorded.meta.tenant
    known: dict[str, Json] = {}
    is_past = True
    for id in ids:
        state = current.get((tenant, id))
        is_past = is_past and state is not None and state[0] >= recorded.version
        if state is not None:
            known[id] = state[1]
    if is_past:
        return []
    changed = []
    for id, body in projection.apply(known, recorded).items():
        key = (tenant, id)
        if key in current and current[key][0] >= recorded.version:
            continue
        current[key] = (recorded.version, body)
        changed.append(key)
    return changed


def interest_of(projection: Projection) -> Interest:
    """Return the events that a projection reads, and those that report an erasure."""
    return Interest(projection.kinds, where=projection.reads) | Interest(ErasureCarriedOut)


class Materializer:
    """A follower's handler that keeps one projection's container up to date.

    A document carries the version of its stream. What is not newer is skipped, so a batch that is handled
    twice, or by two processes, never takes a document back in time. A document that cannot be made stays as
    it is, and the log says so; the others continue. After an erasure, ``remaker`` makes the affected
    documents again. ``is_alone``: nobody else makes documents of that container.
    """

    may_repeat_unnoticed = True

    def __init__(
        self,
        projection: Projection,
        documents: Documents,
        remaker: "Remaker | None" = None,
        *,
        is_alone: bool = True,
    ) -> None:
        self._is_alone = is_alone
        self._remaker = remaker
        self.name = projection.container.name
        self.wants = interest_of(projection)
        self._projection = projection
        self._documents = documents
        self._reach = Reach()
        self._gaps: dict[str, tuple[int, int]] = {}
        """For each stream, the event that found its document missing, and how often one has."""

    async def start_over(self) -> None:
        """Delete the documents. If others make some of them, a rebuild has to do that."""
        if self._is_alone:
            await self._documents.clear(self._projection.container)

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Bring the container up to the batch's last event."""
        before: list[Recorded] = []
        for recorded in events:
            if not isinstance(recorded.event, ErasureCarriedOut):
                before.append(recorded)
                continue
            await self._follow(before, lease)
            before = []
            if self._remaker is not None:
                lease.check()
                await self._remaker.remake(recorded.event.streams)
        await self._follow(before, lease)

    async def _follow(self, events: Sequence[Recorded], lease: Lease) -> None:
        wanted = [(recorded, tuple(self._projection.reads(recorded.event))) for recorded in events]
        for part, keys in self._reach.parts(wanted):
            await self._follow_about(keys, part, lease)

    async def _follow_about(self, keys: Mapping[Key, None], wanted: Sequence[Wanted], lease: Lease) -> None:
        container = self._projection.container
        stored = await self._documents.get_many(container, list(keys))
        current = {key: (document.version, decoded(document.body)) for key, document in stored.items()}
        based_on = {key: version for key, (version, _) in current.items()}
        changed: dict[Key, None] = {}
        for recorded, ids in wanted:
            try:
                changed.update(dict.fromkeys(follow(self._projection, current, recorded, ids)))
                self._close_gap(recorded)
            except Exception as error:
                self._leave_behind(recorded.stream, recorded.version, error)
        documents = []
        for key in changed:
            version, body = current[key]
            try:
                encoded = encoded_within_limit(body)
                documents.append(Document(*key, version, encoded, based_on.get(key, 0)))
            except Exception as error:
                self._leave_behind(f"{key[0]}/{key[1]}", version, error)
        self._reach.note([len(each.body) for each in documents or stored.values()])
        lease.check()
        await self._documents.put(container, documents)

    def _leave_behind(self, what: str, version: int, error: Exception) -> None:
        """Leave a document as it is if it cannot be made. It would fail each time, and hold up all the
        others.

        One that is missing may be there in a moment, because a replica may lag behind what another process
        wrote.
        """
        if isinstance(error, MemoryError):
            raise error
        if isinstance(error, ProjectionGap):
            _, tries = self._gaps.get(what, (version, 0))
            self._gaps[what] = (version, tries + 1)
            if tries + 1 < GAP_TRIES:
                raise error
        log.error("document_left_behind", projection=self.name, what=what, version=version, exc_info=error)

    def _close_gap(self, recorded: Recorded) -> None:
        if recorded.stream in self._gaps and self._gaps[recorded.stream][0] == recorded.version:
            del self._gaps[recorded.stream]


def document_of(projection: Projection, id: str, events: Iterable[Recorded]) -> bytes:
    """Return one document as it is after ``events`` of its stream, without any store.

    This is a command's answer, and the meaning of "as of": the fold of the first events.

    Raises:
        ProjectionGap: the events do not make that document.
    """
    fold = DocumentFold(projection, id)
    fold.take(events)
    return fold.body()


class DocumentFold:
    """Does the same for events that come in parts."""

    def __init__(self, projection: Projection, id: str) -> None:
        self._projection = projection
        self._id = id
        self._documents: dict[str, Json] = {}
        self.version = 0
        """The version of the last event that the document was made from."""

    def take(self, events: Iterable[Recorded]) -> None:
        """Continue with the next events of the stream."""
        projection, documents = self._projection, self._documents
        for recorded in events:
            if ids := projection.reads(recorded.event):
                known = {key: documents[key] for key in ids if key in documents}
                documents.update(projection.apply(known, recorded))
                if self._id in ids:
                    self.version = recorded.version

    def body(self) -> bytes:
        """Return the document.

        Raises:
            ProjectionGap: the events do not make it.
        """
        if self._id not in self._documents:
            raise ProjectionGap(f"no event made {self._projection.container.name} {self._id}")
        return _encode(self._documents[self._id])


def existing(documents: Mapping[str, Json], id: str) -> Json:
    """Return a copy of a document that an earlier event must have made.

    Raises:
        ProjectionGap: it is missing.
    """
    try:
        return dict(documents[id])
    except KeyError:
        raise ProjectionGap(f"document {id} is missing; rebuild the container") from None


_encode = msgspec.json.Encoder().encode
decoded = msgspec.json.Decoder(dict).decode
"""Decodes a document's content."""
