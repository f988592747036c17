"""Positions of the followers that work for all instances. Each lies in the partition of its lease."""

from collections.abc import Callable, Mapping, Sequence

from domain.lease import Lease
from domain.values import derived_id
from infrastructure.cosmos.coordination import PASSED_SECONDS, change
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items
from infrastructure.cosmos.leases import require

KIND = "position"

_ALL = "SELECT c.partition, c.position FROM c WHERE c.kind = @kind AND c.follower = @follower"


class CosmosPositions:
    """``place`` returns the lease under which a follower's position in a partition of the log changes.

    See ``checkpoints.py`` for positions whose leases lie elsewhere.
    """

    passed_seconds = PASSED_SECONDS

    def __init__(self, database: CosmosDatabase, container: str, place: Callable[[str, str], str]) -> None:
        self._items = Items(database, container)
        self._place = place

    async def load(self, follower: str, partition: str, lease: Lease) -> str | None:
        """Return the position after the last event handled, or None before the first.

        Raises:
            LeaseLost: a later holder has been here.
        """
        await require(lease, self._items)
        item = await self._items.read(self._place(follower, partition), _id(follower, partition))
        return None if item is None else str(item["position"])

    async def load_all(
        self, follower: str, partitions: Sequence[str], lease: Lease
    ) -> Mapping[str, str | None]:
        """Return the position in each of some partitions, by one query per place.

        Raises:
            LeaseLost: a later holder has been here.
        """
        await require(lease, self._items)
        saved: dict[str, str] = {}
        given = {"@kind": KIND, "@follower": follower}
        for place in sorted({self._place(follower, partition) for partition in partitions}):
            for row in await self._items.query(place, _ALL, given):
                saved[row["partition"]] = str(row["position"])
        return {partition: saved.get(partition) for partition in partitions}

    async def save(self, follower: str, partition: str, position: str, lease: Lease) -> None:
        """Save a position.

        Raises:
            LeaseLost: the lease has passed on; nothing was saved.
        """
        await self.save_all(follower, {partition: position}, lease)

    async def save_all(self, follower: str, positions: Mapping[str, str], lease: Lease) -> None:
        """Save the position in each of some partitions, as many at once as fit in a batch.

        Raises:
            LeaseLost: the lease has passed on; nothing was saved since.
        """
        by_place: dict[str, list[Item]] = {}
        for partition, position in positions.items():
            place = self._place(follower, partition)
            item = position_item(place, follower, partition, position)
            by_place.setdefault(place, []).append(item)
        for place, items in by_place.items():
            await change(self._items, place, lease, put=items)

    async def forget(self, follower: str, partitions: Sequence[str], lease: Lease) -> None:
        """Delete the positions in some partitions, so that the follower begins again at the first event.

        Raises:
            LeaseLost: the lease has passed on; nothing is forgotten since.
        """
        by_place: dict[str, list[str]] = {}
        for partition in partitions:
            by_place.setdefault(self._place(follower, partition), []).append(_id(follower, partition))
        for place, ids in by_place.items():
            await change(self._items, place, lease, remove=ids)


def position_item(place: str, follower: str, partition: str, position: str) -> Item:
    """Return the item to store for a position."""
    return {
        "id": _id(follower, partition),
        PARTITION_KEY: place,
        "kind": KIND,
        "follower": follower,
        "partition": partition,
        "position": position,
    }


def _id(follower: str, partition: str) -> str:
    return derived_id(KIND, follower, partition)
