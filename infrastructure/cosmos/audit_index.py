"""The audit index of a log in Cosmos DB. It is the log's own container, and each append completes it."""

from collections.abc import Sequence
from typing import Any

from application.audit.chain import Head, tenant_of
from application.audit.ports import Indexed, Wanted, microseconds
from domain.event import event_id
from infrastructure.audit_sql import CLOCKS_DIFFER_BY_MICROSECONDS
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.log_documents import indexed, is_event
from infrastructure.cosmos.log_items import LogItems

_ROW = (
    "c.position, c.stream, c.version, c.topic, c.aggregateId, c.actor, c.correlationId, c.causationId,"
    ' c["at"], c.latestAt, c.leaf, c.chain'
)

_SEALED = (
    "SELECT TOP {} VALUE c.stream FROM c WHERE ARRAY_CONTAINS(c.keys, @key) AND c.stream > @after"
    " ORDER BY c.stream"
)
"""The query returns one row per event. If a stream has more rows than the limit, the next query skips the
rest of it by its name."""


class CosmosAuditIndex:
    """Each query names a tenant, whose partitions hold nobody else's events."""

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._database = database
        self._items = LogItems(database, container)

    async def reached(self, partition: str) -> str | None:
        """Return the end of the tenant's order."""
        place = (await self._items.end(partition)).place
        return None if place is None else place.position

    async def page(
        self, wanted: Wanted, *, beyond: int, limit: int, newest_first: bool = False
    ) -> Sequence[Indexed]:
        """Return up to ``limit`` events beyond a position, in the tenant's order or in reverse."""
        after, until = _between(wanted, beyond)
        found = await self._items.select(
            wanted.tenant,
            _ROW,
            after=after,
            until=until,
            limit=limit,
            where=_where(wanted),
            newest_first=newest_first,
        )
        return [indexed(item) for item in found]

    async def count(self, wanted: Wanted) -> int:
        """Return how many events match."""
        if wanted.is_all:
            return (await self.head(wanted.tenant)).number
        after, until = _between(wanted, 0)
        return await self._items.count(wanted.tenant, after=after, until=until, where=_where(wanted))

    async def head(self, tenant: str) -> Head:
        """Return the end of a tenant's hash chain, or its beginning if the tenant has no event."""
        return (await self._items.end(tenant)).head

    async def heads(self) -> Sequence[Head]:
        """Return the heads of all tenants that have an event, ordered by tenant. Each head costs one read."""
        found: list[Head] = []

        async def read(tenant: str) -> None:
            found.append(await self.head(tenant))

        await self._database.for_each(await self._items.tenants(), read)
        return sorted((head for head in found if head.number), key=lambda head: head.tenant)

    async def at(self, tenant: str, position: int) -> Indexed | None:
        """Return the index's row for the tenant's event at a position."""
        found = await self._items.select(tenant, _ROW, after=position - 1, until=position, limit=1)
        return indexed(found[0]) if found else None

    async def find(self, stream: str, version: int) -> Indexed | None:
        """Return the index's row for the event at a version of a stream."""
        if stream.count("/") < 2:
            return None
        item = await self._items.find(tenant_of(stream), event_id(stream, version))
        return None if item is None or not is_event(item) else indexed(item)

    async def preceding(self, tenant: str, position: int) -> Indexed | None:
        """Return the index's row for the tenant's last event before a position."""
        found = await self._items.select(tenant, _ROW, until=position - 1, limit=1, newest_first=True)
        return indexed(found[0]) if found else None

    async def read(self, partition: str, after: int, limit: int) -> Sequence[Indexed]:
        """Return the tenant's next events, in its order."""
        return [indexed(item) for item in await self._items.select(partition, _ROW, after=after, limit=limit)]

    async def sealed_streams(self, tenant: str, key_id: str, after: str, limit: int) -> Sequence[str]:
        """Return up to ``limit`` streams that hold values sealed under a tenant's key, ordered by name."""
        found: set[str] = set()
        for partition in await self._items.segments_of(tenant):
            found.update(await self._sealed_in(partition, key_id, after, limit))
        return sorted(found)[:limit]

    async def sealed_keys(self, limit: int) -> Sequence[tuple[str, str]]:
        """Return none: the log itself is the index, and it has no order of keys."""
        return ()

    async def _sealed_in(self, partition: str, key_id: str, after: str, limit: int) -> Sequence[str]:
        found: dict[str, None] = {}
        while len(found) < limit:
            given = {"@key": key_id, "@after": next(reversed(found), after)}
            rows = await self._items.items.query(partition, _SEALED.format(limit), given)
            found.update(dict.fromkeys(rows))
            if len(rows) < limit:
                break
        return list(found)[:limit]


def _where(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """Return the condition and its values. ``latestAt`` is indexed, and it is never before ``at``."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    for field, given in (
        ("topic", wanted.topic),
        ("aggregateId", wanted.aggregate_id),
        ("actor", wanted.actor),
        ("correlationId", wanted.correlation_id),
    ):
        if given is not None:
            conditions.append(f"c.{field} = @{field}")
            values[f"@{field}"] = given
    if wanted.after is not None:
        conditions.append('c.latestAt > @later AND c["at"] > @later')
        values["@later"] = microseconds(wanted.after)
    if wanted.before is not None:
        conditions.append('c.latestAt < @latest AND c["at"] < @before')
        values["@before"] = microseconds(wanted.before)
        values["@latest"] = values["@before"] + CLOCKS_DIFFER_BY_MICROSECONDS
    return " AND ".join(conditions), values


def _between(wanted: Wanted, beyond: int) -> tuple[int, int | None]:
    """Return the number after which the search begins, and the number at which it ends."""
    until = None if wanted.before_position is None else wanted.before_position - 1
    return max(beyond, wanted.after_position), until
