"""The events of a log in Cosmos DB as they are stored."""

from collections.abc import Collection, Mapping, Sequence

from application.log_copy import Entry
from domain.event import event_id
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import Items
from infrastructure.cosmos.log_documents import TENANTS, entry_of

_EVENT = "c.position, c.stream, c.version, c.topic, c.state, c.bytes"

_IDS_A_QUERY = 500


class CosmosStoredLog:
    """Reads only; each call sees the log as it then is. A partition is a tenant."""

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._items = Items(database, container)

    async def partitions(self) -> Sequence[str]:
        """The tenants that were noted."""
        return sorted(await self._items.query(TENANTS, "SELECT VALUE c.tenant FROM c", {}))

    def partition_of(self, tenant: str) -> str:
        """The tenant."""
        return tenant

    async def read(self, partition: str, after: int, limit: int) -> Sequence[Entry]:
        """The next events of a tenant after a number, in its order."""
        statement = f"SELECT TOP {limit} {_EVENT} FROM c WHERE c.position > @after ORDER BY c.position"
        return [entry_of(item) for item in await self._items.query(partition, statement, {"@after": after})]

    async def at(self, partition: str, ids: Collection[int]) -> Mapping[int, Entry]:
        """Those of some numbers that there are."""
        wanted, found = list(ids), dict[int, Entry]()
        for begin in range(0, len(wanted), _IDS_A_QUERY):
            given = {f"@p{id}": id for id in wanted[begin : begin + _IDS_A_QUERY]}
            statement = f"SELECT {_EVENT} FROM c WHERE c.position IN ({', '.join(given)})"
            for item in await self._items.query(partition, statement, given):
                found[item["position"]] = entry_of(item)
        return found

    async def find(self, stream: str, version: int) -> Entry | None:
        """The event at a version of a stream."""
        item = await self._items.read(stream.partition("/")[0], str(event_id(stream, version)))
        return None if item is None else entry_of(item)
