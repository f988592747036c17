"""Leases in Cosmos DB, by nobody's clock: a rival watches a holder for a lease's whole time.

Cosmos DB keeps time in seconds only, and instances' clocks may differ. So no time is stored. A holder has a
session (``sessions.py``) whose document gets another etag each time that it asks anew; who sees the same etag
for as long as a lease lasts, by its own monotonic clock, ends the session and takes over what it held. Clocks
need to run equally fast, and not to agree.

Each lease has a logical partition of its own: there a document tells the session that holds it, and another
has the fence for its id. What is done under the lease is a batch there that begins with that document. It is
replaced and not only read: whoever takes over deletes it, and two writes of one document cannot both go
through, whatever a batch's isolation is.
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
"""What is asked of the documents that change under leases."""

LEASE_ID = "lease"
_MOST_TRIES = 3
_GIVE_OR_TAKE_SECONDS = 1.0
"""A document's time is in whole seconds."""


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
        """Make the container if it is missing.

        Raises:
            Unusable: it has another partition key.
        """
        await self._containers.ensure(self._name, indexing_policy(INDEXED, ORDERS))

    async def hold(self, names: Sequence[str], holder: str) -> Mapping[str, int | None]:
        """Those that ``holder`` has from now on, with their fences. When it asked, our session tells."""
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
        """What others are to have of what ``holder`` has, as it was seen when it last asked."""
        session = self._ours.get(holder)
        if session is None or session.id not in self._standings:
            return ()
        return to_give_up(session.id, {**self._standings, session.id: session.standing})

    async def release(self, names: Sequence[str], holder: str) -> None:
        """Let the others have them at once."""
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
        """Our session; another one, which holds nothing, where somebody has ended it."""
        session = self._ours.setdefault(holder, Session(holder))
        session.ask(names, self.seconds)
        while not await self._all.renew(session):
            session = self._ours[holder] = Session(holder)
            session.ask(names, self.seconds)
        return session

    async def _look_at_one(self, session: Session) -> None:
        """A container may have been restored, or lost: what we hold is looked at in turn."""
        if session.fences:
            self._looked += 1
            name = sorted(session.fences)[self._looked % len(session.fences)]
            there = await self._items.read(name, LEASE_ID)
            if there is None or (there["holder"], there["fence"]) != (session.id, session.fences[name]):
                del session.fences[name]

    async def _take(self, name: str, session: Session) -> None:
        """Take a lease if it is free. A write that was refused may be our own, whose answer was lost: so it
        looks again."""
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
    """Look whether nobody has taken the lease over: then no former holder changes anything any more.

    Raises:
        LeaseLost: somebody has.
    """
    if lease.fence is not None and await items.read(lease.name, f"fence-{lease.fence}") is None:
        raise LeaseLost(f"another instance has the lease for {lease.name} now")


async def change_under(lease: Lease, items: Items, operations: Sequence[Operation]) -> int | None:
    """A batch in the lease's partition, all or none; nobody can take the lease over within it.

    The number of the operation that found something else than it expected; none if all is done.

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
    """The time in milliseconds, or more: a container that was restored gives no old fence again."""
    return max(int(there["fence"]) + 1 if there else 1, time.time_ns() // 1_000_000)


def _lease(name: str, holder: str | None, fence: int) -> Item:
    return {"id": LEASE_ID, PARTITION_KEY: name, "holder": holder, "fence": fence}


def _fence(name: str, fence: int) -> Item:
    return {"id": f"fence-{fence}", PARTITION_KEY: name}
