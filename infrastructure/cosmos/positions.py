"""Positions of those who follow the log for all instances, each in the partition of the follower's lease."""

from collections.abc import Mapping, Sequence

from domain.lease import Lease
from domain.values import derived_id
from infrastructure.cosmos.coordination import change
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items
from infrastructure.cosmos.leases import require

KIND = "position"

_ALL = "SELECT c.partition, c.position FROM c WHERE c.kind = @kind"


class CosmosPositions:
    """A follower's lease has its name. See ``checkpoints.py`` for positions whose leases lie elsewhere."""

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._items = Items(database, container)

    async def load(self, follower: str, partition: str, lease: Lease) -> str | None:
        """The position after the last event handled; none before the first.

        Raises:
            LeaseLost: a later holder has been here.
        """
        await require(lease, self._items)
        item = await self._items.read(follower, _id(partition))
        return None if item is None else str(item["position"])

    async def load_all(
        self, follower: str, partitions: Sequence[str], lease: Lease
    ) -> Mapping[str, str | None]:
        """The position in each of some partitions, by one question.

        Raises:
            LeaseLost: a later holder has been here.
        """
        await require(lease, self._items)
        rows = await self._items.query(follower, _ALL, {"@kind": KIND})
        saved = {row["partition"]: str(row["position"]) for row in rows}
        return {partition: saved.get(partition) for partition in partitions}

    async def save(self, follower: str, partition: str, position: str, lease: Lease) -> None:
        """Remember a position.

        Raises:
            LeaseLost: the lease has passed on; nothing was saved.
        """
        item = position_item(follower, partition, position)
        await change(self._items, follower, lease, put=[item])

    async def forget(self, follower: str) -> None:
        """Begin again from the first event."""
        ids = await self._items.query(
            follower, "SELECT VALUE c.id FROM c WHERE c.kind = @kind", {"@kind": KIND}
        )
        for id in ids:
            await self._items.delete(follower, id)


def position_item(follower: str, partition: str, position: str) -> Item:
    """A position as it is to be stored."""
    return {
        "id": _id(partition),
        PARTITION_KEY: follower,
        "kind": KIND,
        "partition": partition,
        "position": position,
    }


def _id(partition: str) -> str:
    return derived_id(KIND, partition)
