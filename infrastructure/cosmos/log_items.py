"""Reads a tenant's items in the log's container, over all segments of the tenant's log."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.ends import ORDER_ID, End, partition_name
from infrastructure.cosmos.items import Item, Items, nothing
from infrastructure.cosmos.log_documents import TENANTS
from infrastructure.cosmos.segments import Segments


class Stretch(NamedTuple):
    """The events of one segment after one number and up to another."""

    partition: str
    after: int
    until: int


class LogItems:
    """Reads only. Each call sees the log as it is at that time. ``items`` can read any one partition."""

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self.items = Items(database, container)
        self._segments = Segments()

    async def tenants(self) -> Sequence[str]:
        """Return the tenants that were noted."""
        return sorted(await self.items.query(TENANTS, "SELECT VALUE c.tenant FROM c", {}))

    async def end(self, tenant: str) -> End:
        """Return the present end of a tenant's order. This reads one small document, and one more for each
        segment that is not known yet.

        Raises:
            BrokenLog: the segments do not fit together.
            StoreUnavailable: the account is away.
        """
        while True:
            number = self._segments.last(tenant)
            order = await self.items.read(partition_name(tenant, number), ORDER_ID)
            end = self._segments.learn(tenant, number, order)
            if end is None:
                continue
            seen = [await self.items.read(*place) for place in self._segments.to_be_seen(end)]
            if self._segments.is_last(end, seen):
                return end
            self._segments.look_again(end, await self.items.read(end.partition, ORDER_ID))

    async def stretches(self, tenant: str, after: int = 0, until: int | None = None) -> Sequence[Stretch]:
        """Return where the events after one number and up to another are, in order. Without ``until`` they go
        up to the present end."""
        end = await self.end(tenant)
        last = end.head.position if until is None else min(until, end.head.position)
        begins = [*self._segments.begins(tenant)[: end.segment + 1], end.head.position]
        each = [
            Stretch(partition_name(tenant, number), max(after, begin), min(last, begins[number + 1]))
            for number, begin in enumerate(begins[:-1])
        ]
        return [stretch for stretch in each if stretch.after < stretch.until]

    async def select(
        self,
        tenant: str,
        fields: str,
        *,
        after: int = 0,
        until: int | None = None,
        limit: int,
        where: tuple[str, Mapping[str, Any]] = ("", {}),
        newest_first: bool = False,
        size: Callable[[Item], int] = nothing,
        room: int = 1,
    ) -> Sequence[Item]:
        """Return up to ``limit`` events after one number and up to another that meet a condition, in order or
        in reverse. If ``size`` is given, they end with the event that fills ``room``."""
        found: list[Item] = []
        stretches = await self.stretches(tenant, after, until)
        for stretch in reversed(stretches) if newest_first else stretches:
            if len(found) == limit or room <= 0:
                break
            order = f"ORDER BY c.position{' DESC' if newest_first else ''}"
            columns = f"TOP {limit - len(found)} {fields}"
            rows = await self._rows(stretch, columns, where, order, size=size, room=room)
            room -= sum(map(size, rows))
            found += rows
        return found

    async def count(self, tenant: str, *, after: int, until: int | None, where: tuple[str, Any]) -> int:
        """Return how many events after one number and up to another meet a condition."""
        stretches = await self.stretches(tenant, after, until)
        return sum([sum(await self._rows(stretch, "VALUE COUNT(1)", where)) for stretch in stretches])

    async def segments_of(self, tenant: str) -> Sequence[str]:
        """Return the partitions that hold a tenant's log, from the first on."""
        return [partition_name(tenant, number) for number in range((await self.end(tenant)).segment + 1)]

    async def find(self, tenant: str, id: str) -> Item | None:
        """Return a tenant's item, or the mark in its place."""
        for partition in reversed(await self.segments_of(tenant)):
            if (item := await self.items.read(partition, id)) is not None:
                return item
        return None

    async def _rows(
        self,
        stretch: Stretch,
        columns: str,
        where: tuple[str, Mapping[str, Any]],
        order: str = "",
        *,
        size: Callable[[Item], int] = nothing,
        room: int = 1,
    ) -> list[Any]:
        condition, given = where
        matching = f"c.position > @after AND c.position <= @until{condition and f' AND {condition}'}"
        bounds = {"@after": stretch.after, "@until": stretch.until}
        statement = f"SELECT {columns} FROM c WHERE {matching} {order}"  # noqa: S608  names, never values
        values = {**bounds, **given}
        return await self.items.query(stretch.partition, statement, values, size=size, room=room)
