"""The durable timers of a share in Cosmos DB, in the partition of the lease under which they are set.

The part that sets timers also cancels them, under the same lease. The clock, which gives their commands, has
another lease, and a batch is limited to one partition. So the clock deletes or postpones a timer under the
etag with which it found the timer due. A timer that was set again or cancelled meanwhile stays as it is. A
clock whose lease has passed on can do no more harm than that: the command of a timer that comes due twice
takes effect once.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from application.audit.ports import microseconds
from application.ports import Settled, Timer
from domain.lease import Lease
from domain.values import derived_id
from infrastructure.cosmos.coordination import change
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items, Operation
from infrastructure.cosmos.leases import require
from infrastructure.cosmos.transactions import parts

KIND = "timer"

_DUE = "SELECT TOP {} * FROM c WHERE c.kind = @kind AND c.dueAt <= @now{} ORDER BY c.kind, c.dueAt, c.key"
_BESIDES = " AND NOT ARRAY_CONTAINS(@besides, c.tenant ?? '')"
"""Timers that an earlier release has set name no tenant, so they count as nobody's."""

_timer = msgspec.json.Decoder(Timer)


class CosmosTimers:
    """The timers that all instances share. ``setter`` is the name of the lease under which they are set,
    ``clock`` that of the lease under which their commands are given."""

    def __init__(self, database: CosmosDatabase, container: str, *, setter: str, clock: str) -> None:
        self._items = Items(database, container)
        self._setter = setter
        self._clock = clock
        self._due: dict[str, str] = {}
        """The etags with which the last timers were found due, and those found besides them."""

    async def change(self, *, set: Sequence[Timer], cancel: Sequence[str], lease: Lease) -> None:
        """Set and cancel timers, all of them or none, if they fit in one batch.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        _require_name(lease, self._setter)
        put = [timer_item(self._setter, timer) for timer in set]
        await change(self._items, self._setter, lease, put=put, remove=[_id(id) for id in cancel])

    async def settle(self, handled: Sequence[Settled], lease: Lease) -> None:
        """Delete or postpone the timers that were last found due, if they are still as they were found.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        _require_name(lease, self._clock)
        await require(lease, self._items)
        operations = [
            self._settling(found.id, again, self._due[found.id])
            for found, again in handled
            if found.id in self._due
        ]
        for part in parts(operations, beside=0):
            await self._do_what_can_be(part)

    async def due(self, now: datetime, limit: int, besides: Collection[str] = ()) -> Sequence[Timer]:
        """Return up to ``limit`` timers due by ``now``, the oldest first, without those of the tenants
        ``besides``."""
        given: dict[str, object] = {"@kind": KIND, "@now": microseconds(now)}
        if besides:
            given["@besides"] = list(besides)
        else:
            self._due = {}
        statement = _DUE.format(limit, _BESIDES if besides else "")
        found = await self._items.query(self._setter, statement, given)
        self._due |= {item["key"]: item["_etag"] for item in found}
        return [timer_in(item) for item in found]

    async def _do_what_can_be(self, operations: list[Operation]) -> None:
        while operations and (refused := await self._items.batch(self._setter, operations)) is not None:
            operations.pop(refused)

    def _settling(self, id: str, timer: Timer | None, etag: str) -> Operation:
        if timer is None:
            return ("delete", (_id(id),), {"if_match_etag": etag})
        return ("replace", (_id(id), timer_item(self._setter, timer)), {"if_match_etag": etag})


def timer_in(item: Item) -> Timer:
    """Return the timer that an item holds."""
    return _timer.decode(item["timer"])


def timer_item(partition: str, timer: Timer) -> Item:
    """Return the item to store for a timer, in the partition of the lease under which it is set."""
    return {
        "id": _id(timer.id),
        PARTITION_KEY: partition,
        "kind": KIND,
        "key": timer.id,
        "dueAt": microseconds(timer.due_at),
        "tenant": timer.meta.tenant,
        "timer": msgspec.json.encode(timer).decode(),
    }


def _require_name(lease: Lease, name: str) -> None:
    if lease.name != name:
        raise ValueError(f"that is done under the lease for {name}, not for {lease.name}")


def _id(id: str) -> str:
    return derived_id(KIND, id)
