"""Followers' positions in a Cosmos DB container, beside the documents that they are about."""

from domain.values import SYSTEM_TENANT, derived_id
from infrastructure.cosmos.containers import CosmosContainers, indexing_policy
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Items


class CosmosCheckpoints:
    """Positions in one partition, the system tenant's. Ids are derived: names may hold what ids may not."""

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._containers = CosmosContainers(database)
        self._name = container
        self._items = Items(database, container)

    async def create(self) -> None:
        """Make the container if it is missing.

        Raises:
            Unusable: it has another partition key.
        """
        await self._containers.ensure(self._name, indexing_policy(("follower",)))

    async def load(self, follower: str, partition: str) -> str | None:
        """The position after the last event handled; none before the first."""
        item = await self._items.read(SYSTEM_TENANT, _id(follower, partition))
        return None if item is None else str(item["position"])

    async def save(self, follower: str, partition: str, position: str) -> None:
        """Remember a position."""
        await self._items.upsert(
            {
                "id": _id(follower, partition),
                PARTITION_KEY: SYSTEM_TENANT,
                "follower": follower,
                "partition": partition,
                "position": position,
            }
        )

    async def forget(self, follower: str) -> None:
        """Begin again from the first event."""
        ids = await self._items.query(
            SYSTEM_TENANT, 'SELECT VALUE c.id FROM c WHERE c["follower"] = @follower', {"@follower": follower}
        )
        for id in ids:
            await self._items.delete(SYSTEM_TENANT, id)


def _id(follower: str, partition: str) -> str:
    return derived_id("position", follower, partition)
