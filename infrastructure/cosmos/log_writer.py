"""Writes a whole log into Cosmos DB. A mark says that it is half a copy until it is complete."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from uuid import uuid4

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from application.audit.chain import leaf_in_log, tenant_of
from application.log_copy import CannotCopy, Entry, FollowerPosition, KeptAnchor
from application.ports import StepCall, Timer
from domain.lease import Unrivalled
from infrastructure.cosmos import anchor_book, positions, step_calls, timers
from infrastructure.cosmos.beside import Beside
from infrastructure.cosmos.coordination import change
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.half_copy import HalfCopy
from infrastructure.cosmos.held_log import Leaseholders
from infrastructure.cosmos.items import Item, Items
from infrastructure.cosmos.log_container import LogContainer
from infrastructure.cosmos.log_reader import CosmosLogReader
from infrastructure.cosmos.patience import patient
from infrastructure.cosmos.tenant_writer import TenantWriter

_WINDOW_BYTES = 16_000_000
_AROUND_AN_EVENT = 500
"""Events are gathered up to a number of bytes, so that each tenant's events go in batches. This counts for
what surrounds an event's state."""

_SIDE_BY_SIDE = 8
"""How many tenants are written concurrently: fewer than the SDK keeps connections."""

_AT_ONCE = 500

_IDS = "SELECT TOP {} VALUE c.id FROM c WHERE c.kind = @kind"


class CosmosLogWriter:
    """A copy that died at any point can be run again: it continues."""

    def __init__(
        self,
        database: CosmosDatabase,
        container: LogContainer,
        log: str,
        coordination: str,
        beside: Beside,
        *,
        place: str,
    ) -> None:
        self._database = database
        self._container = container
        self._coordination = Items(database, coordination)
        self._beside = beside
        self._place = place
        self._half_copy = HalfCopy(database, log)
        self._leaseholders = Leaseholders(database, coordination, place)
        self._reader: Callable[[], CosmosLogReader] = lambda: CosmosLogReader(
            database, log, coordination, beside, place=place
        )
        self._writers: dict[str, TenantWriter] = {}
        self._threads = CapacityLimiter(_SIDE_BY_SIDE)
        self.leaves_a_half = False

    @property
    def written(self) -> CosmosLogReader:
        """A reader of what the containers hold now."""
        return self._reader()

    async def begin(self) -> int:
        """Return how many events the log has if it is complete. If it is empty, mark it as half a copy from
        now on.

        Raises:
            CannotCopy: a service uses this log.
        """
        if not await self._half_copy.is_marked() and (count := await self.written.count()):
            return count
        await self._leaseholders.refuse()
        await self._half_copy.mark(uuid4().hex)
        self.leaves_a_half = True
        await self._leaseholders.refuse_who_came()
        return 0

    async def put_events(self, batches: AsyncIterator[Sequence[Entry]]) -> None:
        """Write events under their numbers in their tenant's order. Events that exist already are skipped.

        Raises:
            CannotCopy: other events are there, or somebody else writes.
        """
        window: dict[str, list[Entry]] = {}
        size = 0
        async for batch in batches:
            if not self._writers and not window:
                await self._require_half_of_the_same(batch[0])
            for entry in batch:
                window.setdefault(tenant_of(entry.stream), []).append(entry)
                size += len(entry.state) + _AROUND_AN_EVENT
            if size > _WINDOW_BYTES:
                await self._write(window)
                window, size = {}, 0
        await self._write(window)

    async def put_positions(self, saved: Sequence[FollowerPosition]) -> None:
        """Write positions. They replace those that are there.

        Raises:
            CannotCopy: a position is of a follower that is not known here, or another copy has continued.
        """
        await self._require_our_mark()
        items: dict[str, list[Item]] = {place: [] for place in self._beside.all_places()}
        for each in saved:
            if each.follower not in self._beside.followers:
                raise CannotCopy(f"this release knows no follower {each.follower}, which has a position")
            place = self._beside.place(each.follower, each.partition)
            item = positions.position_item(place, each.follower, each.partition, each.position)
            items[place].append(item)
        for place, put in items.items():
            await self._clear(place, positions.KIND)
            await self._put(place, put)

    async def put_timers(self, batches: AsyncIterator[Sequence[Timer]]) -> None:
        """Write timers. They replace those that are there. Each lies where the part that sets it looks for
        it.

        Raises:
            CannotCopy: a timer is of a kind that is not known here, or another copy has continued.
        """
        await self._require_our_mark()
        for place in self._beside.places(self._beside.setter):
            await self._clear(place, timers.KIND)
        async for batch in batches:
            items: dict[str, list[Item]] = {}
            for timer in batch:
                if timer.kind not in self._beside.kinds:
                    raise CannotCopy(f"this release knows no timers of the kind {timer.kind}")
                place = self._beside.place_of(self._beside.setter, timer.meta.tenant)
                items.setdefault(place, []).append(timers.timer_item(place, timer))
            for place, put in items.items():
                await self._put(place, put)

    async def put_step_calls(self, batches: AsyncIterator[Sequence[StepCall]]) -> None:
        """Write the calls of steps. They replace those that are there.

        Raises:
            CannotCopy: another copy has continued in place of this one.
        """
        await self._require_our_mark()
        for place in self._beside.places(self._beside.caller):
            await self._clear(place, step_calls.KIND)
        async for batch in batches:
            items: dict[str, list[Item]] = {}
            for call in batch:
                place = self._beside.place_of(self._beside.caller, call.meta.tenant)
                items.setdefault(place, []).append(step_calls.call_item(place, call))
            for place, put in items.items():
                await self._put(place, put)

    async def put_anchors(self, anchors: Sequence[KeptAnchor]) -> None:
        """Write anchors. They replace those that are there.

        Raises:
            CannotCopy: another copy has continued in place of this one.
        """
        await self._require_our_mark()
        partition = self._beside.anchorer
        await self._clear(partition, anchor_book.KIND)
        await self._put(
            partition,
            [
                anchor_book.anchor_item(partition, each.tenant, each.anchor, is_out=each.is_out)
                for each in anchors
            ],
        )

    async def finish(self) -> None:
        """Check that nobody else has written.

        Raises:
            CannotCopy: another copy or a service has.
        """
        await self._require_our_mark()
        await self._leaseholders.refuse_who_came()

    async def end(self) -> None:
        """Delete the mark: from now on the copy is a complete log.

        Raises:
            CannotCopy: another copy has continued in place of this one.
        """
        if not await patient(self._half_copy.take_away):
            raise CannotCopy(f"{self._place}: another copy has gone on in place of this one")

    async def _write(self, window: Mapping[str, Sequence[Entry]]) -> None:
        async def write(tenant: str) -> None:
            writer = self._writers.setdefault(tenant, TenantWriter(self._container, tenant))
            await patient(lambda: run_sync(writer.put, window[tenant], limiter=self._threads))

        await self._database.for_each(window, write)

    async def _put(self, partition: str, items: Sequence[Item]) -> None:
        await patient(lambda: change(self._coordination, partition, Unrivalled(partition), put=items))

    async def _clear(self, partition: str, kind: str) -> None:
        async def ids() -> list[str]:
            return await self._coordination.query(partition, _IDS.format(_AT_ONCE), {"@kind": kind})

        async def remove() -> None:
            await change(self._coordination, partition, Unrivalled(partition), remove=found)

        while found := await patient(ids):
            await patient(remove)

    async def _require_half_of_the_same(self, first: Entry) -> None:
        """Check before anything is written that the half copy is of the same log. Half copies of two logs
        could not be continued."""
        if not await patient(lambda: self._half_copy.is_of(leaf_in_log(first).hex())):
            await self._require_our_mark()
            raise CannotCopy(f"{self._place} holds half a copy of another log: take an empty database")

    async def _require_our_mark(self) -> None:
        if not await patient(self._half_copy.is_ours):
            raise CannotCopy(f"{self._place}: another copy has gone on in place of this one")
