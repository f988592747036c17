"""Reads a whole log from Cosmos DB, tenant by tenant, with the data beside it."""

import heapq
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any, TypeVar

import msgspec

from application.event_log import Place
from application.log_copy import CannotCopy, Entry, FollowerPosition, KeptAnchor
from application.ports import StepCall, Timer
from infrastructure.cosmos import anchor_book, positions, step_calls, timers
from infrastructure.cosmos.beside import Beside
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.held_log import Leaseholders
from infrastructure.cosmos.items import Item, Items
from infrastructure.cosmos.patience import patient
from infrastructure.cosmos.stored_log import CosmosStoredLog

T = TypeVar("T")

_BATCH = 500

_POSITIONS = "SELECT c.follower, c.partition, c.position FROM c WHERE c.kind = @kind"
_ALL = "SELECT * FROM c WHERE c.kind = @kind"
_NEXT = "SELECT TOP {} * FROM c WHERE c.kind = @kind AND c.key > @after ORDER BY c.key"


class CosmosLogReader:
    """Reads the containers. Nothing prevents writes meanwhile: :meth:`finish` tells whether there were
    any."""

    def __init__(
        self, database: CosmosDatabase, log: str, coordination: str, beside: Beside, *, place: str
    ) -> None:
        self._database = database
        self._log = CosmosStoredLog(database, log)
        self._coordination = Items(database, coordination)
        self._beside = beside
        self._place = place
        self._leaseholders = Leaseholders(database, coordination, place)
        self._ends: Mapping[str, Place] | None = None

    async def begin(self) -> None:
        """Check that nobody uses the log.

        Raises:
            CannotCopy: a service does.
        """
        await self._leaseholders.refuse()

    async def ends(self) -> Mapping[str, Place]:
        """Return the last event of each tenant that has one, as they were when this was first called."""
        if self._ends is None:
            self._ends = await self._present_ends()
        return self._ends

    async def count(self) -> int:
        """Return how many events there are. A tenant's numbers have no gaps."""
        return sum(end.id for end in (await self.ends()).values())

    async def events(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Yield every event, tenant by tenant, each with its number in the tenant's order.

        Raises:
            CannotCopy: an event is missing.
        """
        for tenant, end in sorted((await self.ends()).items()):
            async with aclosing(self.events_between(tenant, 0, end.id)) as batches:
                async for batch in batches:
                    yield batch

    async def events_between(
        self, tenant: str, after: int, until: int
    ) -> AsyncGenerator[Sequence[Entry], None]:
        """Yield a tenant's events after one number and up to another.

        Raises:
            CannotCopy: an event is missing.
        """
        while after < until:
            batch = await self._read(tenant, after, min(_BATCH, until - after))
            if not batch or batch[-1].id > until:
                raise CannotCopy(f"{self._place}: of {tenant} there is no event {after + 1}")
            yield batch
            after = batch[-1].id

    async def positions(self) -> Sequence[FollowerPosition]:
        """Return every position, ordered by follower and partition."""
        found = [
            FollowerPosition(item["follower"], item["partition"], item["position"])
            for place in self._beside.all_places()
            for item in await self._beside_log(place, _POSITIONS, positions.KIND)
        ]
        return sorted(found, key=lambda each: (each.follower, each.partition))

    async def timers(self) -> AsyncGenerator[Sequence[Timer], None]:
        """Yield every timer, ordered by id, whichever part has set it.

        Raises:
            CannotCopy: one is damaged.
        """
        places = self._beside.places(self._beside.setter)
        each = [self._all_of(place, timers.KIND, timers.timer_in) for place in places]
        async with aclosing(_in_order(each)) as batches:
            async for batch in batches:
                yield batch

    async def step_calls(self) -> AsyncGenerator[Sequence[StepCall], None]:
        """Yield every call that a step still asks for, ordered by id.

        Raises:
            CannotCopy: one is damaged.
        """
        places = self._beside.places(self._beside.caller)
        each = [self._all_of(place, step_calls.KIND, step_calls.call_in) for place in places]
        async with aclosing(_in_order(each)) as batches:
            async for batch in batches:
                yield batch

    async def anchors(self) -> Sequence[KeptAnchor]:
        """Return the last anchor of each tenant, ordered by tenant.

        Raises:
            CannotCopy: one is damaged.
        """
        items = await self._beside_log(self._beside.anchorer, _ALL, anchor_book.KIND)
        try:
            return sorted(map(anchor_book.kept_anchor, items), key=lambda each: each.tenant)
        except msgspec.MsgspecError as error:
            raise CannotCopy(f"{self._place}: an anchor is damaged: {error}") from error

    async def finish(self) -> None:
        """Check that nobody has appended since :meth:`ends` was first called, and that no service has begun.

        Raises:
            CannotCopy: somebody has appended, or a service has begun.
        """
        if await self._present_ends() != await self.ends():
            raise CannotCopy(f"{self._place}: a service has appended to it meanwhile; stop it first")
        await self._leaseholders.refuse_who_came()

    async def _present_ends(self) -> Mapping[str, Place]:
        found: dict[str, Place] = {}

        async def look(tenant: str) -> None:
            place = (await self._log.end(tenant)).place
            if place is not None:
                found[tenant] = place

        await self._database.for_each(await self._log.partitions(), look)
        return found

    async def _read(self, tenant: str, after: int, limit: int) -> Sequence[Entry]:
        return await patient(lambda: self._log.read(tenant, after, limit))

    async def _all_of(
        self, partition: str, kind: str, told: Callable[[Item], T]
    ) -> AsyncGenerator[tuple[str, T], None]:
        """Yield the items of a kind in a partition, ordered by key. They are read when they are needed."""
        after = ""
        while items := await self._beside_log(partition, _NEXT.format(_BATCH), kind, after=after):
            for item in items:
                try:
                    yield item["key"], told(item)
                except msgspec.MsgspecError as error:
                    raise CannotCopy(f"{self._place}: a {kind} is damaged: {error}") from error
            after = items[-1]["key"]

    async def _beside_log(self, partition: str, statement: str, kind: str, **given: str) -> list[Any]:
        named = {"@kind": kind, **{f"@{name}": value for name, value in given.items()}}
        return await patient(lambda: self._coordination.query(partition, statement, named))


async def _in_order(each: Sequence[AsyncGenerator[tuple[str, T], None]]) -> AsyncGenerator[Sequence[T], None]:
    """Merge several sequences that are ordered by key, in batches."""
    first: list[tuple[str, int, T]] = []
    batch: list[T] = []
    async with AsyncExitStack() as stack:
        for number, source in enumerate(each):
            await stack.enter_async_context(aclosing(source))
            await _push(first, source, number)
        while first:
            _, number, value = heapq.heappop(first)
            batch.append(value)
            await _push(first, each[number], number)
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


async def _push(
    first: list[tuple[str, int, T]], source: AsyncGenerator[tuple[str, T], None], number: int
) -> None:
    async for key, value in source:
        heapq.heappush(first, (key, number, value))
        return
