"""Followers' positions in a Cosmos DB container, beside the documents that they are about."""

from collections.abc import Callable, Mapping, Sequence

from domain.errors import LeaseLost, StoreUnavailable
from domain.lease import Lease
from domain.values import SYSTEM_TENANT, derived_id
from infrastructure.cosmos.containers import CosmosContainers, indexing_policy
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items

_MOST_RACES = 20


class CosmosCheckpoints:
    """Positions in one partition, the system tenant's. Ids are derived: names may hold what ids may not.

    The leases lie in another store. So an item keeps the highest fence under which it was read or written,
    and what comes under a lower one is refused.
    """

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._database = database
        self._containers = CosmosContainers(database)
        self._name = container
        self._items = Items(database, container)

    async def create(self) -> None:
        """Make the container if it is missing.

        Raises:
            Unusable: it has another partition key.
        """
        await self._containers.ensure(self._name, indexing_policy(("follower",)))

    async def load(self, follower: str, partition: str, lease: Lease) -> str | None:
        """The position after the last event handled; none before the first.

        Raises:
            LeaseLost: a later holder has been here.
        """
        position: str | None = None

        def claimed(there: Item | None) -> Item | None:
            nonlocal position
            position = there["position"] if there else None
            if lease.fence is None or (there and there.get("fence", 0) == lease.fence):
                return None
            return _item(follower, partition, position, lease)

        await self._change(_id(follower, partition), lease, claimed)
        return position

    async def load_all(
        self, follower: str, partitions: Sequence[str], lease: Lease
    ) -> Mapping[str, str | None]:
        """The position in each of some partitions, side by side: each item is to keep the fence.

        Raises:
            LeaseLost: a later holder has been here.
        """
        found: dict[str, str | None] = {}

        async def load(partition: str) -> None:
            found[partition] = await self.load(follower, partition, lease)

        await self._database.for_each(partitions, load)
        return found

    async def save(self, follower: str, partition: str, position: str, lease: Lease) -> None:
        """Remember a position.

        Raises:
            LeaseLost: the lease has passed on; nothing was saved.
        """
        await self._change(
            _id(follower, partition), lease, lambda _: _item(follower, partition, position, lease)
        )

    async def forget(self, follower: str) -> None:
        """Begin again from the first event."""
        ids = await self._items.query(
            SYSTEM_TENANT, 'SELECT VALUE c.id FROM c WHERE c["follower"] = @follower', {"@follower": follower}
        )
        for id in ids:
            await self._items.delete(SYSTEM_TENANT, id)

    async def _change(self, id: str, lease: Lease, changed: Callable[[Item | None], Item | None]) -> None:
        """Put what ``changed`` makes of the item that is there in its place; nothing, if that is none."""
        for _ in range(_MOST_RACES):
            there = await self._items.read(SYSTEM_TENANT, id)
            if lease.fence is not None and there and there.get("fence", 0) > lease.fence:
                raise LeaseLost(f"another instance has the lease for {lease.name} now")
            new = changed(there)
            if new is None or await self._items.put_in_place_of(there, new):
                return
        raise StoreUnavailable(f"the position {id} is too busy: {_MOST_RACES} writes lost the race")


def _item(follower: str, partition: str, position: str | None, lease: Lease) -> Item:
    return {
        "id": _id(follower, partition),
        PARTITION_KEY: SYSTEM_TENANT,
        "follower": follower,
        "partition": partition,
        "position": position,
        "fence": lease.fence or 0,
    }


def _id(follower: str, partition: str) -> str:
    return derived_id("position", follower, partition)
