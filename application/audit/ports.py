"""What the audit trail needs from outside, as protocols."""

from collections.abc import AsyncGenerator, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from application.audit.chain import Head
from application.log_batches import Part
from application.log_copy import Entry
from domain.lease import Lease
from domain.values import canonical_id, is_uuid

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Return a time as the index stores it: in microseconds since 1970."""
    return (moment - _BEGINNING) // _MICROSECOND


class Indexed(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the index: what it stores of an event. Times are in microseconds since 1970.

    ``latest_at`` is the latest time of the tenant's events so far. The clocks of instances differ, so the
    times of events are not quite in the order of the log, but ``latest_at`` is.
    """

    tenant: str
    number: int
    position: int
    category: str
    aggregate_id: str
    version: int
    topic: str
    actor: str
    correlation_id: str
    causation_id: str | None
    at: int
    latest_at: int
    leaf: bytes
    chain: bytes

    @property
    def stream(self) -> str:
        """The name of the event's stream."""
        return f"{self.tenant}/{self.category}/{self.aggregate_id}"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A query for events of a tenant. ``after`` and ``before`` exclude the time or position that they
    name."""

    tenant: str
    topic: str | None = None
    aggregate_id: str | None = None
    actor: str | None = None
    correlation_id: str | None = None
    after: datetime | None = None
    before: datetime | None = None
    after_position: int = 0
    before_position: int | None = None

    @property
    def is_all(self) -> bool:
        """Whether the query is for every event of the tenant."""
        return self == Wanted(tenant=self.tenant)

    @property
    def spelled(self) -> tuple["Wanted", ...]:
        """The query once for each form in which its ids may be stored. No event matches two of them.

        UUIDs are accepted in either case. Ids of things are stored in lower case. Former releases stored the
        correlation ids of messages as their senders wrote them: in upper case, if not in lower case.
        """
        aggregate_id = None if self.aggregate_id is None else canonical_id(self.aggregate_id)
        given = self.correlation_id
        forms = [given] if given is None or not is_uuid(given) else [given.lower(), given.upper(), given]
        return tuple(
            msgspec.structs.replace(self, aggregate_id=aggregate_id, correlation_id=each)
            for each in dict.fromkeys(forms)
        )


class StoredLog(Protocol):
    """The log's events as they are stored. No transaction stays open from call to call.

    Ids are those of a partition: see ``LogRecorder``. All raise StoreUnavailable when the store is away.
    """

    async def partitions(self) -> Sequence[str]:
        """Return the partitions of the log."""
        ...

    def partition_of(self, tenant: str) -> str:
        """Return the partition that holds a tenant's events."""
        ...

    async def last(self, partition: str) -> int:
        """Return the id of the last event of a partition, or 0 if there is none."""
        ...

    async def read(self, partition: str, after: int, limit: int) -> Sequence[Entry]:
        """Return the next events of a partition after an id, ordered by id, up to a full batch."""
        ...

    def at(self, partition: str, ids: Collection[int]) -> AsyncGenerator[Part, None]:
        """Yield the events at some ids, in their order, a full batch at a time."""
        ...

    async def find(self, stream: str, version: int) -> Entry | None:
        """Return the event at a version of a stream, if there is one."""
        ...


class IndexReader(Protocol):
    """Reads the index beside the log. Positions are in the order of a partition, and a tenant's events are in
    one partition.

    All raise StoreUnavailable when the store is away.
    """

    async def page(
        self, wanted: Wanted, *, beyond: int, limit: int, newest_first: bool = False
    ) -> Sequence[Indexed]:
        """Return up to ``limit`` events beyond a position, in the order of the log or in reverse."""
        ...

    async def count(self, wanted: Wanted) -> int:
        """Return how many events match."""
        ...

    async def head(self, tenant: str) -> Head:
        """Return the end of a tenant's hash chain, or its beginning if the tenant has no event."""
        ...

    async def heads(self) -> Sequence[Head]:
        """Return the heads of all tenants that have an event, ordered by tenant."""
        ...

    async def at(self, tenant: str, position: int) -> Indexed | None:
        """Return the index's row for the event at a position of the tenant's partition."""
        ...

    async def find(self, stream: str, version: int) -> Indexed | None:
        """Return the index's row for the event at a version of a stream."""
        ...

    async def preceding(self, tenant: str, position: int) -> Indexed | None:
        """Return the index's row for the tenant's last event before a position."""
        ...

    async def read(self, partition: str, after: int, limit: int) -> Sequence[Indexed]:
        """Return the next events of all tenants in a partition, in its order."""
        ...

    async def sealed_streams(self, tenant: str, key_id: str, after: str, limit: int) -> Sequence[str]:
        """Return up to ``limit`` streams that hold values sealed under a tenant's key, ordered by name."""
        ...

    async def sealed_keys(self, limit: int) -> Sequence[tuple[str, str]]:
        """Return the tenant and the id of up to ``limit`` keys of sealed values, ordered by id. If the log is
        its own index, which has no order of keys, return none."""
        ...

    async def reached(self, partition: str) -> str | None:
        """Return the position up to which the index is complete in a partition."""
        ...


class Index(IndexReader, Protocol):
    """The index. It is derived from the log, so what is deleted can be made again."""

    async def put(self, partition: str, events: Sequence["Noted"], position: str, lease: Lease) -> None:
        """Add the next events of a partition, up to ``position``. Events that the index already has are
        skipped.

        Raises:
            LeaseLost: the lease has passed on; nothing was added.
        """
        ...

    async def clear(self) -> None:
        """Delete all rows. The index can be derived again."""
        ...


class Noted(msgspec.Struct, frozen=True):
    """A stored event, and what can be asked about it."""

    entry: Entry
    actor: str
    correlation_id: str
    causation_id: str | None
    at: int
    keys: tuple[str, ...] = ()
    """The keys of the values that are sealed in it."""
