"""Durable timers in Cosmos DB: each in the partition of the lease under which it was set.

Whoever sets timers also cancels them, under the same lease. The clock, which gives their commands, has a
lease of its own, and a batch is in one partition: so it takes away or puts off a timer under the etag with
which it found it due. One that was set anew or cancelled meanwhile stays as it is, and a clock whose lease
has passed on does no more harm than that: the command of a timer that is due twice is taken once.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from application.audit.ports import microseconds
from application.ports import Timer
from domain.lease import Lease
from domain.values import derived_id
from infrastructure.cosmos.coordination import MOST_OPERATIONS, change
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items, Operation
from infrastructure.cosmos.leases import require

KIND = "timer"

_DUE = "SELECT TOP {} * FROM c WHERE c.kind = @kind AND c.dueAt <= @now ORDER BY c.kind, c.dueAt, c.key"

_timer = msgspec.json.Decoder(Timer)


class _Found(NamedTuple):
    """Where a timer was found due, and as what."""

    partition: str
    etag: str


class CosmosTimers:
    """Timers that every instance shares; ``setters`` are the names of the leases under which they are set,
    and ``clock`` is that of the one under which their commands are given."""

    def __init__(
        self, database: CosmosDatabase, container: str, *, setters: Sequence[str], clock: str
    ) -> None:
        self._items = Items(database, container)
        self._setters = setters
        self._clock = clock
        self._due: dict[str, _Found] = {}

    async def change(self, *, set: Sequence[Timer], cancel: Sequence[str], lease: Lease) -> None:
        """Set and cancel timers, all or none, as far as a batch takes them.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        if lease.name in self._setters:
            put = [timer_item(lease.name, timer) for timer in set]
            await change(self._items, lease.name, lease, put=put, remove=[_id(id) for id in cancel])
            return
        if lease.name != self._clock:
            raise ValueError(f"nobody looks for timers under the lease for {lease.name}")
        await require(lease, self._items)
        await self._settle({timer.id: timer for timer in set} | dict.fromkeys(cancel))

    async def due(self, now: datetime, limit: int) -> Sequence[Timer]:
        """Up to ``limit`` timers due by ``now``, the oldest first."""
        given = {"@kind": KIND, "@now": microseconds(now)}
        found: list[Item] = []
        for partition in self._setters:
            found += await self._items.query(partition, _DUE.format(limit), given)
        first = sorted(found, key=lambda item: (item["dueAt"], item["key"]))[:limit]
        self._due = {item["key"]: _Found(item[PARTITION_KEY], item["_etag"]) for item in first}
        return [timer_in(item) for item in first]

    async def _settle(self, handled: dict[str, Timer | None]) -> None:
        """Put off or take away what was found due last, as far as it still is as it was found."""
        by_partition: dict[str, list[Operation]] = {}
        for id, timer in handled.items():
            if (found := self._due.get(id)) is not None:
                operation = _settling(found, id, timer)
                by_partition.setdefault(found.partition, []).append(operation)
        for partition, operations in by_partition.items():
            for begin in range(0, len(operations), MOST_OPERATIONS):
                await self._do_what_can_be(partition, operations[begin : begin + MOST_OPERATIONS])

    async def _do_what_can_be(self, partition: str, operations: list[Operation]) -> None:
        while operations and (refused := await self._items.batch(partition, operations)) is not None:
            operations.pop(refused)


def _settling(found: _Found, id: str, timer: Timer | None) -> Operation:
    unchanged = {"if_match_etag": found.etag}
    if timer is None:
        return ("delete", (_id(id),), unchanged)
    return ("replace", (_id(id), timer_item(found.partition, timer)), unchanged)


def timer_in(item: Item) -> Timer:
    """A timer as it is stored."""
    return _timer.decode(item["timer"])


def timer_item(partition: str, timer: Timer) -> Item:
    """A timer as it is to be stored, in the partition of the lease under which it is set."""
    return {
        "id": _id(timer.id),
        PARTITION_KEY: partition,
        "kind": KIND,
        "key": timer.id,
        "dueAt": microseconds(timer.due_at),
        "timer": msgspec.json.encode(timer).decode(),
    }


def _id(id: str) -> str:
    return derived_id(KIND, id)
