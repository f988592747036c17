"""Followers' positions in a Cosmos DB container, beside the documents that the followers write."""

from collections.abc import Callable, Mapping, Sequence

from domain.errors import LeaseLost, StoreUnavailable
from domain.lease import Lease
from domain.values import SYSTEM_TENANT, derived_id
from infrastructure.cosmos.containers import CosmosContainers, indexing_policy
from infrastructure.cosmos.coordination import PASSED_SECONDS
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items, Operation
from infrastructure.cosmos.transactions import MOST_OPERATIONS

_AMONG = "SELECT * FROM c WHERE c.id IN ({})"

_MOST_RACES = 20


class CosmosCheckpoints:
    """The positions lie in one partition, that of the system tenant. Ids are derived, because names may hold
    characters that ids must not hold.

    The leases lie in another store. So an item keeps the highest fence under which it was read or written,
    and a request under a lower fence is refused.
    """

    passed_seconds = PASSED_SECONDS

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._database = database
        self._containers = CosmosContainers(database)
        self._name = container
        self._items = Items(database, container)

    async def create(self) -> None:
        """Create the container if it is missing.

        Raises:
            Unusable: it has another partition key.
        """
        await self._containers.ensure(self._name, indexing_policy(("follower",)))

    async def load(self, follower: str, partition: str, lease: Lease) -> str | None:
        """Return the position after the last event handled, or None before the first.

        Raises:
            LeaseLost: a later holder has been here.
        """
        return (await self.load_all(follower, [partition], lease))[partition]

    async def load_all(
        self, follower: str, partitions: Sequence[str], lease: Lease
    ) -> Mapping[str, str | None]:
        """Return the position in each of some partitions, and note the fence in each item.

        Raises:
            LeaseLost: a later holder has been here.
        """
        found: dict[str, str | None] = {}

        def claimed(partition: str, there: Item | None) -> Item | None:
            found[partition] = there["position"] if there else None
            if lease.fence is None or (there and there.get("fence", 0) == lease.fence):
                return None
            return _item(follower, partition, found[partition], lease)

        await self._change_all(follower, partitions, lease, claimed)
        return found

    async def save(self, follower: str, partition: str, position: str, lease: Lease) -> None:
        """Save a position.

        Raises:
            LeaseLost: the lease has passed on; nothing was saved.
        """
        await self.save_all(follower, {partition: position}, lease)

    async def save_all(self, follower: str, positions: Mapping[str, str], lease: Lease) -> None:
        """Save the position in each of some partitions, as many at once as fit in a batch.

        Raises:
            LeaseLost: the lease has passed on.
        """

        def saved(partition: str, there: Item | None) -> Item:
            return _item(follower, partition, positions[partition], lease)

        await self._change_all(follower, list(positions), lease, saved)

    async def forget(self, follower: str, partitions: Sequence[str], lease: Lease) -> None:
        """Delete the positions in some partitions, so that the follower begins again there. The items keep
        the fence.

        Raises:
            LeaseLost: a later holder has been here.
        """

        def begun_again(partition: str, there: Item | None) -> Item | None:
            return None if there is None else _item(follower, partition, None, lease)

        await self._change_all(follower, partitions, lease, begun_again)

    async def forget_all(self, follower: str) -> None:
        """Delete the follower's positions in all partitions."""
        ids = await self._items.query(
            SYSTEM_TENANT, 'SELECT VALUE c.id FROM c WHERE c["follower"] = @follower', {"@follower": follower}
        )
        for id in ids:
            await self._items.delete(SYSTEM_TENANT, id)

    async def _change_all(
        self,
        follower: str,
        partitions: Sequence[str],
        lease: Lease,
        changed: Callable[[str, Item | None], Item | None],
    ) -> None:
        """Replace the items by what ``changed`` returns for them, in batches of one query and one write each.
        An item for which it returns None stays as it is."""
        for begin in range(0, len(partitions), MOST_OPERATIONS):
            part = partitions[begin : begin + MOST_OPERATIONS]
            for _ in range(_MOST_RACES):
                there = await self._there(follower, part, lease)
                new = {partition: changed(partition, there.get(partition)) for partition in part}
                operations = [
                    _in_place_of(there.get(partition), item) for partition, item in new.items() if item
                ]
                if not operations or await self._items.batch(SYSTEM_TENANT, operations) is None:
                    break
            else:
                raise StoreUnavailable(
                    f"positions of {follower} are too busy: {_MOST_RACES} writes lost the race"
                )

    async def _there(self, follower: str, partitions: Sequence[str], lease: Lease) -> dict[str, Item]:
        ids = [_id(follower, partition) for partition in partitions]
        if len(ids) == 1:
            read = await self._items.read(SYSTEM_TENANT, ids[0])
            found = [] if read is None else [read]
        else:
            given = {f"@id{number}": id for number, id in enumerate(ids)}
            found = await self._items.query(SYSTEM_TENANT, _AMONG.format(", ".join(given)), given)
        if lease.fence is not None and any(item.get("fence", 0) > lease.fence for item in found):
            raise LeaseLost(f"another instance has the lease for {lease.name} now")
        return {item["partition"]: item for item in found}


def _item(follower: str, partition: str, position: str | None, lease: Lease) -> Item:
    return {
        "id": _id(follower, partition),
        PARTITION_KEY: SYSTEM_TENANT,
        "follower": follower,
        "partition": partition,
        "position": position,
        "fence": lease.fence or 0,
    }


def _in_place_of(there: Item | None, item: Item) -> Operation:
    if there is None:
        return ("create", (item,), {})
    return ("replace", (item["id"], item), {"if_match_etag": there["_etag"]})


def _id(follower: str, partition: str) -> str:
    return derived_id("position", follower, partition)
