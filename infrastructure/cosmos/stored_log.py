"""The events of a log in Cosmos DB, as they are stored."""

from collections.abc import AsyncGenerator, Collection, Sequence
from functools import partial
from typing import Any

from application.audit.chain import tenant_of
from application.log_batches import BATCH_BYTES, Part, in_parts
from application.log_copy import Entry
from domain.event import event_id
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.ends import End
from infrastructure.cosmos.log_documents import bytes_of_state, entry_of, is_event
from infrastructure.cosmos.log_items import LogItems

_EVENT = "c.position, c.stream, c.version, c.topic, c.state, c.bytes"

_IDS_A_QUERY = 500


class CosmosStoredLog:
    """Reads only. Each call sees the log as it is at that time. A partition of the log is a tenant."""

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._items = LogItems(database, container)

    async def partitions(self) -> Sequence[str]:
        """Return the tenants that were noted."""
        return await self._items.tenants()

    def partition_of(self, tenant: str) -> str:
        """Return the tenant."""
        return tenant

    async def end(self, partition: str) -> End:
        """Return the present end of a tenant's order."""
        return await self._items.end(partition)

    async def last(self, partition: str) -> int:
        """Return the number of a tenant's last event, or 0 if there is none."""
        return (await self.end(partition)).head.position

    async def read(self, partition: str, after: int, limit: int) -> Sequence[Entry]:
        """Return the next events of a tenant after a number, in its order, up to a full batch."""
        return await self._entries(partition, after=after, limit=limit)

    async def at(self, partition: str, ids: Collection[int]) -> AsyncGenerator[Part, None]:
        """Yield the documents at some numbers, a full batch at a time."""
        wanted = sorted(ids)
        for begin in range(0, len(wanted), _IDS_A_QUERY):
            async for part in in_parts(wanted[begin : begin + _IDS_A_QUERY], partial(self._at, partition)):
                yield part

    async def find(self, stream: str, version: int) -> Entry | None:
        """Return the event at a version of a stream, if there is one."""
        item = await self._items.find(tenant_of(stream), event_id(stream, version))
        return None if item is None or not is_event(item) else entry_of(item)

    async def _at(self, partition: str, ids: Sequence[int]) -> Sequence[Entry]:
        given = {f"@p{id}": id for id in ids}
        where = f"c.position IN ({', '.join(given)})", given
        return await self._entries(partition, after=ids[0] - 1, until=ids[-1], limit=len(ids), where=where)

    async def _entries(self, partition: str, **which: Any) -> Sequence[Entry]:
        items = await self._items.select(partition, _EVENT, size=bytes_of_state, room=BATCH_BYTES, **which)
        return [entry_of(item) for item in items]
