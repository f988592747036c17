"""Leases in Cosmos DB, by nobody's clock: a rival watches a lease for its whole time before it takes over.

Cosmos DB keeps time in seconds only, and instances' clocks may differ. So no time is stored. Each time a
holder asks anew its document gets another etag; who sees the same etag for as long as a lease lasts, by its
own monotonic clock, knows that the holder did not ask. Clocks need to run equally fast, and not to agree.

Each lease has a logical partition of its own, and in it a document whose id is the fence. What is done under
the lease is a batch there that begins with that document. It is replaced and not only read: whoever takes
over deletes it, and two writes of one document cannot both go through, whatever a batch's isolation is.
"""

import time
from collections.abc import Mapping, Sequence

from domain.errors import LeaseLost
from domain.lease import Lease
from infrastructure.cosmos.containers import CosmosContainers, indexing_policy
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items, Operation

LEASE_SECONDS = 6.0

INDEXED = ("kind", "dueAt", "lane", "dispatchedAt", "key")
ORDERS = (("kind", "dueAt", "key"), ("kind", "lane", "dispatchedAt", "key"))
"""What is asked of the documents that change under leases."""

LEASE_ID = "lease"
_MOST_TRIES = 3


class CosmosLeases:
    """Leases that all instances on one database share."""

    seconds = LEASE_SECONDS

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._database = database
        self._containers = CosmosContainers(database)
        self._name = container
        self._items = Items(database, container)
        self._seen: dict[str, tuple[str, float]] = {}

    async def create(self) -> None:
        """Make the container if it is missing.

        Raises:
            Unusable: it has another partition key.
        """
        await self._containers.ensure(self._name, indexing_policy(INDEXED, ORDERS))

    async def hold(self, names: Sequence[str], holder: str) -> Mapping[str, int | None]:
        """Those that ``holder`` has from now on, with their fences."""
        held: dict[str, int | None] = {}

        async def hold(name: str) -> None:
            fence = await self._hold(name, holder)
            if fence is not None:
                held[name] = fence

        await self._database.for_each(names, hold)
        return held

    async def release(self, names: Sequence[str], holder: str) -> None:
        """Let the others have them at once."""

        async def release(name: str) -> None:
            there = await self._items.read(name, LEASE_ID)
            if there is not None and there["holder"] == holder:
                await self._items.replace(_lease(name, None, there["fence"]), there["_etag"])

        await self._database.for_each(names, release)

    async def _hold(self, name: str, holder: str) -> int | None:
        """Its fence. A write that was refused may be our own, whose answer was lost: so it looks again."""
        for _ in range(_MOST_TRIES):
            asked_at = time.monotonic()
            there = await self._items.read(name, LEASE_ID)
            if there is not None and there["holder"] == holder:
                fence = int(there["fence"])
                if await self._items.replace(_lease(name, holder, fence), there["_etag"]):
                    return fence
            elif there is None or there["holder"] is None or self._has_run_out(name, there, asked_at):
                taken = _fence_after(there)
                if await self._items.batch(name, _taking_over(name, holder, there, taken)) is None:
                    return taken
            else:
                return None
        return None

    def _has_run_out(self, name: str, there: Item, asked_at: float) -> bool:
        etag, since = self._seen.get(name, ("", 0.0))
        if etag != there["_etag"]:
            self._seen[name] = (there["_etag"], time.monotonic())
            return False
        return asked_at - since > self.seconds


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
