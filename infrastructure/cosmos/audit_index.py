"""The audit index of a log in Cosmos DB: the log's own container, complete with each append."""

from collections.abc import Mapping, Sequence
from typing import Any

from application.audit.chain import Head
from application.audit.ports import Indexed, Wanted, microseconds
from domain.event import event_id
from infrastructure.audit_sql import CLOCKS_DIFFER_BY_MICROSECONDS
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import Item, Items
from infrastructure.cosmos.log_documents import ORDER_ID, End, end_of, indexed
from infrastructure.cosmos.stored_log import CosmosStoredLog

_ROW = (
    "c.position, c.stream, c.version, c.topic, c.aggregateId, c.actor, c.correlationId, c.causationId,"
    ' c["at"], c.latestAt, c.leaf, c.chain'
)

_SEALED = (
    "SELECT TOP {} VALUE c.stream FROM c WHERE ARRAY_CONTAINS(c.keys, @key) AND c.stream > @after"
    " ORDER BY c.stream"
)
"""A row an event. What is left of a stream behind so many rows is passed over by the next one's name."""


class CosmosAuditIndex:
    """Asked by tenant: nobody else's events are in the partition."""

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._database = database
        self._items = Items(database, container)
        self._log = CosmosStoredLog(database, container)

    async def reached(self, partition: str) -> str | None:
        """The end of the tenant's order."""
        place = (await self._end(partition)).place
        return None if place is None else place.position

    async def page(
        self, wanted: Wanted, *, beyond: int, limit: int, newest_first: bool = False
    ) -> Sequence[Indexed]:
        """Up to ``limit`` events whose position is beyond one, in the tenant's order or against it."""
        condition, values = _where(wanted, beyond)
        order = f"ORDER BY c.position{' DESC' if newest_first else ''}"
        return await self._rows(wanted.tenant, f"WHERE {condition} {order}", values, limit)

    async def count(self, wanted: Wanted) -> int:
        """How many there are."""
        if wanted.is_all:
            return (await self.head(wanted.tenant)).number
        condition, values = _where(wanted, 0)
        statement = f"SELECT VALUE COUNT(1) FROM c WHERE {condition}"
        return sum(await self._items.query(wanted.tenant, statement, values))

    async def head(self, tenant: str) -> Head:
        """The end of a tenant's chain; its beginning where it has no event."""
        return (await self._end(tenant)).head

    async def heads(self) -> Sequence[Head]:
        """The heads of all tenants that have an event, in the order of the tenants: a read of each."""
        found: list[Head] = []

        async def read(tenant: str) -> None:
            found.append(await self.head(tenant))

        await self._database.for_each(await self._log.partitions(), read)
        return sorted((head for head in found if head.number), key=lambda head: head.tenant)

    async def at(self, tenant: str, position: int) -> Indexed | None:
        """What is kept of the tenant's event at a position."""
        return await self._one(tenant, "WHERE c.position = @position", position)

    async def find(self, stream: str, version: int) -> Indexed | None:
        """What is kept of the event at a version of a stream."""
        if stream.count("/") < 2:
            return None
        item = await self._items.read(stream.partition("/")[0], str(event_id(stream, version)))
        return None if item is None else indexed(item)

    async def preceding(self, tenant: str, position: int) -> Indexed | None:
        """What is kept of the tenant's last event before a position."""
        return await self._one(tenant, "WHERE c.position < @position ORDER BY c.position DESC", position)

    async def read(self, partition: str, after: int, limit: int) -> Sequence[Indexed]:
        """The tenant's next events, in its order."""
        matching = "WHERE c.position > @after ORDER BY c.position"
        return await self._rows(partition, matching, {"@after": after}, limit)

    async def sealed_streams(self, tenant: str, key_id: str, after: str, limit: int) -> Sequence[str]:
        """Up to ``limit`` streams with values sealed under a tenant's key, in the order of their names."""
        found: dict[str, None] = {}
        while len(found) < limit:
            rows = await self._items.query(
                tenant, _SEALED.format(limit), {"@key": key_id, "@after": next(reversed(found), after)}
            )
            found.update(dict.fromkeys(rows))
            if len(rows) < limit:
                break
        return list(found)[:limit]

    async def _end(self, tenant: str) -> End:
        return end_of(tenant, await self._items.read(tenant, ORDER_ID))

    async def _one(self, tenant: str, matching: str, position: int) -> Indexed | None:
        found = await self._rows(tenant, matching, {"@position": position}, 1)
        return found[0] if found else None

    async def _rows(
        self, tenant: str, matching: str, values: Mapping[str, object], limit: int
    ) -> Sequence[Indexed]:
        statement = f"SELECT TOP {limit} {_ROW} FROM c {matching}"
        found: list[Item] = await self._items.query(tenant, statement, values)
        return [indexed(item) for item in found]


def _where(wanted: Wanted, beyond: int) -> tuple[str, dict[str, Any]]:
    """The condition, with its values. By ``latestAt`` there is an index, and it is never before ``at``."""
    conditions = ["c.position > @beyond"]
    values: dict[str, Any] = {"@beyond": max(beyond, wanted.after_position)}
    for field, given in (
        ("topic", wanted.topic),
        ("aggregateId", wanted.aggregate_id),
        ("actor", wanted.actor),
        ("correlationId", wanted.correlation_id),
    ):
        if given is not None:
            conditions.append(f"c.{field} = @{field}")
            values[f"@{field}"] = given
    if wanted.before_position is not None:
        conditions.append("c.position < @until")
        values["@until"] = wanted.before_position
    if wanted.after is not None:
        conditions.append('c.latestAt > @after AND c["at"] > @after')
        values["@after"] = microseconds(wanted.after)
    if wanted.before is not None:
        conditions.append('c.latestAt < @later AND c["at"] < @before')
        values["@before"] = microseconds(wanted.before)
        values["@later"] = values["@before"] + CLOCKS_DIFFER_BY_MICROSECONDS
    return " AND ".join(conditions), values
