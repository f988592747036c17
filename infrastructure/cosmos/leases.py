"""Leases in Cosmos DB. They depend on no wall clock: a rival watches a holder for the whole time of a lease.

Cosmos DB keeps time only in seconds, and instances' clocks may differ. So no time is stored. A holder has a
session (``sessions.py``), and each renewal gives its document another etag. If a rival sees the same etag for
the time of a lease, by its own monotonic clock, it ends the session and takes over what that held. Clocks
must run equally fast, but need not agree.

Each lease has a logical partition of its own. One document there names the session that holds it, and another
has the fence as its id. Work under the lease is a batch there that begins with the latter document. The batch
replaces that document and does not only read it: whoever takes over deletes it, and two writes of one
document cannot both succeed, whatever isolation batches have.
"""

import time
from collections.abc import Collection, Mapping, Sequence

import anyio

from application.store_clock import StoreClock
from domain.errors import LeaseLost
from domain.lease import Lease
from infrastructure.cosmos.balance import Standing, to_give_up, to_take
from infrastructure.cosmos.containers import CosmosContainers, indexing_policy
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items, Operation
from infrastructure.cosmos.sessions import Session, Sessions

LEASE_SECONDS = 6.0

INDEXED = ("kind", "dueAt", "lane", "dispatchedAt", "key")
ORDERS = (("kind", "dueAt", "key"), ("kind", "lane", "dispatchedAt", "key"))
"""The orders that are queried of the documents that change under leases."""

LEASE_ID = "lease"
_MOST_TRIES = 3
_GIVE_OR_TAKE_SECONDS = 1.0
"""The precision of a document's time, which is in whole seconds."""


class CosmosLeases:
    """Leases that all instances on one database share."""

    seconds = LEASE_SECONDS

    def __init__(self, database: CosmosDatabase, container: str, clock: StoreClock | None = None) -> None:
        self._clock = clock or StoreClock()
        self._database = database
        self._containers = CosmosContainers(database)
        self._name = container
        self._items = Items(database, container)
        self._all = Sessions(self._items)
        self._ours: dict[str, Session] = {}
        self._standings: Mapping[str, Standing] = {}
        self._turn = anyio.Lock()
        self._looked = 0

    async def create(self) -> None:
        """Create the container if it is missing.

        Raises:
            Unusable: it has another partition key.
        """
        await self._containers.ensure(self._name, indexing_policy(INDEXED, ORDERS))

    async def hold(self, names: Sequence[str], holder: str) -> Mapping[str, int | None]:
        """Return the leases that ``holder`` has from now on, with their fences. Our session says when it
        asked."""
        async with self._turn:
            asked_at = self._clock.asked()
            session = await self._renewed(holder, names)
            standings = await self._all.look(self.seconds)
            if (written_at := self._all.written_at(session)) is not None:
                self._clock.note(written_at, asked_at, give_or_take=_GIVE_OR_TAKE_SECONDS)
            await self._look_at_one(session)
            elsewhere = {name for id, each in standings.items() if id != session.id for name in each.holds}
            free = {name for name in names if name not in session.fences and name not in elsewhere}
            while True:
                self._standings = {**standings, session.id: session.standing}
                tried = to_take(session.id, self._standings, free)
                if not tried:
                    return {name: session.fences[name] for name in names if name in session.fences}
                await self._database.for_each(tried, lambda name: self._take(name, session))
                free -= set(tried)

    def surplus(self, holder: str) -> Collection[str]:
        """Return the leases that ``holder`` should give to others, as it was when it last asked."""
        session = self._ours.get(holder)
        if session is None or session.id not in self._standings:
            return ()
        return to_give_up(session.id, {**self._standings, session.id: session.standing})

    async def release(self, names: Sequence[str], holder: str) -> None:
        """Release leases, so that other instances can take them at once."""
        session = self._ours.get(holder)
        if session is None:
            return

        async def release(name: str) -> None:
            there = await self._items.read(name, LEASE_ID)
            if there is not None and there["holder"] == session.id:
                await self._items.replace(_lease(name, None, there["fence"]), there["_etag"])
            session.fences.pop(name, None)
            session.asked_at.pop(name, None)

        async with self._turn:
            await self._database.for_each(names, release)
            if not session.fences and self._ours.pop(holder, None) is not None:
                await self._all.end(session)

    async def _renewed(self, holder: str, names: Collection[str]) -> Session:
        """Return our session. If somebody has ended it, return a new one that holds nothing."""
        session = self._ours.setdefault(holder, Session(holder))
        session.ask(names, self.seconds)
        while not await self._all.renew(session):
            session = self._ours[holder] = Session(holder)
            session.ask(names, self.seconds)
        return session

    async def _look_at_one(self, session: Session) -> None:
        """Check one of our leases, each in turn, because a container may have been restored or lost."""
        if session.fences:
            self._looked += 1
            name = sorted(session.fences)[self._looked % len(session.fences)]
            there = await self._items.read(name, LEASE_ID)
            if there is None or (there["holder"], there["fence"]) != (session.id, session.fences[name]):
                del session.fences[name]

    async def _take(self, name: str, session: Session) -> None:
        """Take a lease if it is free. If the write is refused, look again: our own write may have succeeded,
        with its answer lost."""
        for _ in range(_MOST_TRIES):
            there = await self._items.read(name, LEASE_ID)
            if there is not None and there["holder"] == session.id:
                session.fences[name] = int(there["fence"])
                return
            holder = None if there is None else there["holder"]
            if holder is not None and not await self._all.has_ended(holder, self.seconds):
                return
            taken = _fence_after(there)
            if await self._items.batch(name, _taking_over(name, session.id, there, taken)) is None:
                session.fences[name] = taken
                return


async def require(lease: Lease, items: Items) -> None:
    """Check that nobody has taken the lease over. From then on no former holder can change anything.

    Raises:
        LeaseLost: somebody has taken it over.
    """
    if lease.fence is not None and await items.read(lease.name, f"fence-{lease.fence}") is None:
        raise LeaseLost(f"another instance has the lease for {lease.name} now")


async def change_under(lease: Lease, items: Items, operations: Sequence[Operation]) -> int | None:
    """Execute a batch in the lease's partition, all or none. Nobody can take the lease over within it.

    Return the index of the operation that was refused, or None if all are done.

    Raises:
        LeaseLost: somebody has taken it over before; nothing was done.
    """
    if lease.fence is None:
        return await items.batch(lease.name, operations)
    fence = _fence(lease.name, lease.fence)
    refused = await items.batch(lease.name, [("replace", (fence["id"], fence), {}), *operations])
    if refused == 0:
        raise LeaseLost(f"another instance has the lease for {lease.name} now")
    return None if refused is None else refused - 1


def _taking_over(name: str, holder: str, there: Item | None, fence: int) -> list[Operation]:
    lease = _lease(name, holder, fence)
    created: Operation = ("create", (_fence(name, fence),), {})
    if there is None:
        return [("create", (lease,), {}), created]
    former = _fence(name, there["fence"])["id"]
    replaced: Operation = ("replace", (LEASE_ID, lease), {"if_match_etag": there["_etag"]})
    return [replaced, ("delete", (former,), {}), created]


def _fence_after(there: Item | None) -> int:
    """Return a new fence: the time in milliseconds, or more, so that a restored container gives no old fence
    again."""
    return max(int(there["fence"]) + 1 if there else 1, time.time_ns() // 1_000_000)


def _lease(name: str, holder: str | None, fence: int) -> Item:
    return {"id": LEASE_ID, PARTITION_KEY: name, "holder": holder, "fence": fence}


def _fence(name: str, fence: int) -> Item:
    return {"id": f"fence-{fence}", PARTITION_KEY: name}
