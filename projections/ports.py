"""What projections and followers need of the world, as protocols."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from domain.errors import StoreUnavailable
from domain.event import PutOff, Recorded
from domain.interest import Interest
from domain.lease import Lease


class Container(msgspec.Struct, frozen=True):
    """A set of documents of one kind, partitioned by tenant.

    ``sort_field`` holds a time; lists are newest first by it. ``filter_fields`` can be asked for by
    equality, so a store keeps an index on each; and one on each of ``filters_together``, fields that are
    asked for at once where either alone would leave too many. ``list_fields`` hold lists of texts, and can be
    asked for by what is among them. ``below_fields`` can be asked for by being less than a text.
    """

    name: str
    sort_field: str
    filter_fields: tuple[str, ...] = ()
    filters_together: tuple[tuple[str, ...], ...] = ()
    list_fields: tuple[str, ...] = ()
    below_fields: tuple[str, ...] = ()


class Document(msgspec.Struct, frozen=True):
    """A document as stored: JSON bytes, at the version of the stream that it was derived from.

    ``based_on``, in a document to be put, is the version of the one that it was made out of, 0 if there
    was none. A store whose reads may lag behind its writes refuses it where another one is there.
    """

    tenant: str
    id: str
    version: int
    body: bytes
    based_on: int | None = None

    @property
    def is_anothers(self) -> bool:
        """Whether another service has put it there: what is derived of a stream is at version 1 at least."""
        return self.version == 0


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which documents, newest first unless ``oldest_first``. Times are compared as the text that documents
    hold.

    ``any_of`` names list fields that hold at least one of some texts, ``none_of`` list fields that do not
    hold one; ``below`` are fields that there are, with less in them. ``after`` is the (sort value, id) of the
    last document of the page before. Where nobody asks how many there are, they need not be ``counted``. A
    page is full with the document that brings it to ``limit``, or to ``room``, in bytes.
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
    """One page of a list. ``total`` counts all that the query matches, or what is here where it is not to
    be counted; ``next_after`` leads on.
    """

    documents: tuple[Document, ...]
    total: int
    next_after: tuple[str, str] | None


class Documents(Protocol):
    """Where documents are kept. Every call names one tenant, or says them one by one.

    All raise StoreUnavailable when the store is away.
    """

    keeps_text: bool
    """Whether a document comes back byte for byte; else its content does, with numbers as doubles."""

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
        """Every document of some tenants, or of all where the store knows them itself, page by page.

        What changes meanwhile comes once, as it was or as it is.
        """
        ...

    async def clear(self, container: Container) -> None:
        """Delete every document of a container: whoever follows the log for it begins anew."""
        ...

    async def ping(self) -> None:
        """Ask the store for an answer."""
        ...


Replacement = tuple[Document | None, Document | None]
"""A document as it was found, and as it should be."""


class MendableDocuments(Documents, Protocol):
    """Documents that can be replaced whatever version they are at."""

    async def replace(
        self, container: Container, replacements: Mapping[tuple[str, str], Replacement]
    ) -> set[tuple[str, str]]:
        """Replace, make or take away what is still as it was found; the keys of what is not."""
        ...


class Checkpoints(Protocol):
    """How far each follower has read each partition of the log. Positions are opaque.

    Where several processes share them, who holds a lease that has passed on can save nothing any more.
    """

    @property
    def passed_seconds(self) -> float:
        """How often a position is saved up to which nothing was handled: what that costs decides."""
        ...

    async def load(self, follower: str, partition: str, lease: Lease) -> str | None:
        """Return the position after the last event handled, or None before the first.

        From now on nothing is saved under an earlier lease of that name.
        """
        ...

    async def load_all(
        self, follower: str, partitions: Sequence[str], lease: Lease
    ) -> Mapping[str, str | None]:
        """The same of many partitions at once: whoever takes over asks for each tenant's."""
        ...

    async def save(self, follower: str, partition: str, position: str, lease: Lease) -> None:
        """Save a position.

        Raises:
            LeaseLost: the lease has passed on; nothing was saved.
        """
        ...

    async def save_all(self, follower: str, positions: Mapping[str, str], lease: Lease) -> None:
        """The same of many partitions at once, of which some may be saved and others not where it fails.

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
        """The events, one at least."""
        ...

    @property
    def position(self) -> str:
        """Where to go on."""
        ...

    @property
    def weight(self) -> int:
        """What it costs to remember them, in ordinary events: large ones count for several."""
        ...

    @property
    def is_cut(self) -> bool:
        """Whether there may be more behind it at once: else it leads to the end, however many there are."""
        ...


class Alarm(Protocol):
    """Wakes a follower."""

    def reset(self) -> None:
        """Count what woke it as heard, if whoever looks at the log now is sure to find it."""
        ...

    async def wait(self, seconds: float) -> None:
        """Return when there may be something new, or after ``seconds``."""
        ...

    def wake(self) -> None:
        """End a wait now."""
        ...

    def close(self) -> None:
        """Stop being woken."""
        ...


class Compared(Protocol):
    """What came of comparing positions with the log."""

    @property
    def unknown(self) -> Collection[str]:
        """The partitions whose position is none of the log."""
        ...

    @property
    def untold(self) -> Mapping[str, StoreUnavailable]:
        """Those that could not be asked, with why."""
        ...


class Log(Protocol):
    """The event log, read by partition. There is no order between partitions."""

    @property
    def epoch(self) -> int:
        """Who remembers what events say forgets it when this has changed."""
        ...

    async def partitions(self) -> Sequence[str]:
        """The partitions there are now."""
        ...

    async def read(self, partition: str, after: str | None, limit: int) -> Batch | None:
        """The next events after a position, ``limit`` at most and fewer where they are large, or nothing."""
        ...

    async def compare(self, positions: Mapping[str, str]) -> Compared:
        """Whether the position in each of some partitions is of this log, and not of another or of a later
        state of it."""
        ...

    async def count_after(self, partition: str, after: str | None) -> int:
        """About how many events follow a position."""
        ...

    def subscribe(self, wants: Interest) -> Alarm:
        """Be woken by appends of what is wanted, or at least by those."""
        ...


Json = dict[str, Any]
"""A document's content: what JSON can hold, in the order in which it is written."""


class Handler(Protocol):
    """What a follower does with events; safe to repeat."""

    name: str
    wants: Interest
    """The events that are for this handler; the others are passed over."""
    may_repeat_unnoticed: bool
    """Whether nobody is told anything twice. Then the position need not be saved after each batch."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> PutOff | None:
        """Handle a batch, all of it or none that counts: after an exception it comes again. What is put off
        comes again later, and meanwhile other streams' events."""
        ...

    async def start_over(self) -> None:
        """Undo what was made out of another log; the events of this one come from the first."""
        ...
