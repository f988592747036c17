"""What projections and followers need from outside, as protocols."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from domain.errors import StoreUnavailable
from domain.event import PutOff, Recorded
from domain.interest import Interest
from domain.lease import Lease


class Container(msgspec.Struct, frozen=True):
    """A set of documents of one kind, partitioned by tenant.

    ``sort_field`` holds a time, by which lists are sorted, the newest first. Queries can filter
    ``filter_fields`` by equality, so a store keeps an index on each. It also keeps one on each of
    ``filters_together``: fields that are filtered together because either alone would leave too many
    documents. ``list_fields`` hold lists of texts, and queries can ask for what is in them. Queries can ask
    for ``below_fields`` that are less than a text.
    """

    name: str
    sort_field: str
    filter_fields: tuple[str, ...] = ()
    filters_together: tuple[tuple[str, ...], ...] = ()
    list_fields: tuple[str, ...] = ()
    below_fields: tuple[str, ...] = ()


class Document(msgspec.Struct, frozen=True):
    """A document as stored: JSON bytes, at the version of the stream that it was derived from.

    ``based_on``, in a document to be written, is the version of the document that it was made from, or 0 if
    there was none. A store whose reads may lag behind its writes refuses it if another version is stored.
    """

    tenant: str
    id: str
    version: int
    body: bytes
    based_on: int | None = None

    @property
    def is_anothers(self) -> bool:
        """Whether another service has put it there. What is derived from a stream has version 1 at least."""
        return self.version == 0


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A query for documents, the newest first unless ``oldest_first``. Times are compared as the texts that
    documents hold.

    ``any_of`` names list fields that must hold at least one of some texts, ``none_of`` list fields that must
    not hold a text. ``below`` names fields that must exist and be less than a text. ``after`` is the (sort
    value, id) of the last document of the page before. The matches need not be ``counted`` if nobody asks how
    many there are. A page is full with the document that brings it to ``limit``, or to ``room`` in bytes.
    """

    equal: Mapping[str, str] = {}
    any_of: Mapping[str, Sequence[str]] = {}
    none_of: Mapping[str, str] = {}
    below: Mapping[str, str] = {}
    sort_from: str | None = None
    sort_before: str | None = None
    after: tuple[str, str] | None = None
    limit: int = 50
    room: int | None = None
    oldest_first: bool = False
    counted: bool = True


class Page(msgspec.Struct, frozen=True):
    """One page of a list. ``total`` is the number of all matches, or of those on the page if the matches are
    not counted. ``next_after`` leads to the next page."""

    documents: tuple[Document, ...]
    total: int
    next_after: tuple[str, str] | None


class Documents(Protocol):
    """Stores documents. Every call names one tenant, or names the tenant of each document.

    All raise StoreUnavailable when the store is away.
    """

    keeps_text: bool
    """Whether a document comes back byte for byte. Otherwise its content does, with numbers as doubles."""

    async def get(self, container: Container, tenant: str, id: str) -> Document | None:
        """Return one document of a tenant, if it exists."""
        ...

    async def get_many(
        self, container: Container, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Document]:
        """Return the documents of those (tenant, id) keys that exist."""
        ...

    async def put(self, container: Container, documents: Sequence[Document]) -> None:
        """Write documents. A stored document of the same or a later version stays as it is."""
        ...

    async def query(self, container: Container, tenant: str, query: Query) -> Page:
        """Return a page of a tenant's documents."""
        ...

    def scan(self, container: Container, tenants: Sequence[str]) -> AsyncIterator[Sequence[Document]]:
        """Yield every document of some tenants, page by page, or of all if the store itself knows its
        tenants.

        A document that changes meanwhile comes once, in its old or its new version.
        """
        ...

    async def clear(self, container: Container) -> None:
        """Delete all documents of a container. The follower that fills it begins again."""
        ...

    async def ping(self) -> None:
        """Query the store, to see that it answers."""
        ...


Replacement = tuple[Document | None, Document | None]
"""A document as it was found, and as it should be."""


class MendableDocuments(Documents, Protocol):
    """Documents that can be replaced whatever their version is."""

    async def replace(
        self, container: Container, replacements: Mapping[tuple[str, str], Replacement]
    ) -> set[tuple[str, str]]:
        """Replace, create or delete documents that are still as they were found. Return the keys of the
        others."""
        ...


class Checkpoints(Protocol):
    """How far each follower has read each partition of the log. Positions are opaque.

    If several processes share them, a process whose lease has passed on can save nothing any more.
    """

    @property
    def passed_seconds(self) -> float:
        """How often a position is saved up to which nothing was handled. That depends on what a write
        costs."""
        ...

    async def load(self, follower: str, partition: str, lease: Lease) -> str | None:
        """Return the position after the last event handled, or None before the first.

        From now on nothing is saved under an earlier lease of that name.
        """
        ...

    async def load_all(
        self, follower: str, partitions: Sequence[str], lease: Lease
    ) -> Mapping[str, str | None]:
        """Do the same for many partitions at once. Whoever takes over asks for each tenant's."""
        ...

    async def save(self, follower: str, partition: str, position: str, lease: Lease) -> None:
        """Save a position.

        Raises:
            LeaseLost: the lease has passed on; nothing was saved.
        """
        ...

    async def save_all(self, follower: str, positions: Mapping[str, str], lease: Lease) -> None:
        """Do the same for many partitions at once. If it fails, some may be saved and others not.

        Raises:
            LeaseLost: the lease has passed on.
        """
        ...

    async def forget(self, follower: str, partitions: Sequence[str], lease: Lease) -> None:
        """Delete the positions in some partitions, so that the follower begins again at the first event.

        Raises:
            LeaseLost: the lease has passed on; not all is forgotten.
        """
        ...


class Batch(Protocol):
    """Events of one partition in log order, and the position after the last."""

    @property
    def events(self) -> Sequence[Recorded]:
        """The events: at least one."""
        ...

    @property
    def position(self) -> str:
        """Where to continue."""
        ...

    @property
    def weight(self) -> int:
        """What it costs to remember them, counted in ordinary events. A large event counts for several."""
        ...

    @property
    def is_cut(self) -> bool:
        """Whether there may be more behind it now. Otherwise it leads to the log's end, however many events
        it has."""
        ...


class Alarm(Protocol):
    """Wakes a follower."""

    def reset(self) -> None:
        """Count what woke it as heard, if whoever reads the log now is sure to find it."""
        ...

    async def wait(self, seconds: float) -> None:
        """Return when there may be something new, or after ``seconds``."""
        ...

    def wake(self) -> None:
        """End a wait now."""
        ...

    def close(self) -> None:
        """End the subscription."""
        ...


class Compared(Protocol):
    """The result of comparing positions with the log."""

    @property
    def unknown(self) -> Collection[str]:
        """The partitions whose position is not of the log."""
        ...

    @property
    def untold(self) -> Mapping[str, StoreUnavailable]:
        """The partitions that could not be read, with the reason."""
        ...


class Log(Protocol):
    """The event log, read by partition. There is no order between partitions."""

    @property
    def epoch(self) -> int:
        """Whoever remembers the content of events must forget it when this changes."""
        ...

    async def partitions(self) -> Sequence[str]:
        """Return the present partitions."""
        ...

    async def read(self, partition: str, after: str | None, limit: int) -> Batch | None:
        """Return the next events after a position, at most ``limit``, fewer if they are large, or None if
        there are none."""
        ...

    async def compare(self, positions: Mapping[str, str]) -> Compared:
        """Find the partitions whose given position is not of this log, but of another log or of a later state
        of this one."""
        ...

    async def count_after(self, partition: str, after: str | None) -> int:
        """Return about how many events follow a position."""
        ...

    def subscribe(self, wants: Interest) -> Alarm:
        """Return an alarm that appends of wanted events set off, and perhaps others."""
        ...


Json = dict[str, Any]
"""A document's content: what JSON can hold, in the order in which it is written."""


class Handler(Protocol):
    """What a follower does with events. Repeating it is safe."""

    name: str
    wants: Interest
    """The events that are for this handler. It does not see the others."""
    may_repeat_unnoticed: bool
    """Whether a repeat tells nobody anything twice. Then the position need not be saved after each batch."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> PutOff | None:
        """Handle a batch. After an exception the whole batch comes again. Events that are put off come again
        later, and other streams' events meanwhile."""
        ...

    async def start_over(self) -> None:
        """Undo what was made from another log. The events of this one come from the first on."""
        ...
