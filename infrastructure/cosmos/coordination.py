"""Changes to what instances share beside the log, in the partition of the lease under which it changes.

A batch takes a limited number of operations and bytes. A larger change goes in several batches, each under
the lease. A change that was made only in part comes again as a whole, because the caller derives it from the
log.
"""

from collections.abc import Collection, Sequence

from domain.errors import StoreUnavailable
from domain.lease import Lease
from infrastructure.cosmos.items import Item, Items, Operation
from infrastructure.cosmos.leases import change_under
from infrastructure.cosmos.transactions import parts

PASSED_SECONDS = 10.0
"""How often a position is saved that a follower has only skipped to. Otherwise each event of a tenant would
cost twenty writes of some 10 RU each."""

_FENCE_OPERATIONS = 1
"""The operations that a batch under a lease has in addition to the others."""

_IDS_A_QUERY = 500
_MOST_TRIES = 5


async def change(
    items: Items,
    partition: str,
    lease: Lease,
    *,
    put: Sequence[Item] = (),
    add: Sequence[Item] = (),
    remove: Collection[str] = (),
) -> None:
    """Write the items ``put``, add those items ``add`` that do not exist, and delete those ids ``remove``
    that exist.

    The function first looks at which items exist, because a batch fails as a whole if one operation has
    nothing to do.

    Raises:
        LeaseLost: the lease has passed on; nothing has changed since.
        StoreUnavailable: it is not known what has changed.
    """
    for _ in range(_MOST_TRIES):
        there = await _there(items, partition, [*(item["id"] for item in add), *remove])
        operations: list[Operation] = [
            *(("upsert", (item,), {}) for item in put),
            *(("create", (item,), {}) for item in add if item["id"] not in there),
            *(("delete", (id,), {}) for id in remove if id in there),
        ]
        if await _are_done(items, partition, lease, operations):
            return
    raise StoreUnavailable(f"what lies under the lease {partition} is too busy")


async def _are_done(items: Items, partition: str, lease: Lease, operations: Sequence[Operation]) -> bool:
    for part in parts(operations, beside=_FENCE_OPERATIONS):
        if await done_in(items, partition, lease, part) is not None:
            return False
    return True


async def done_in(items: Items, partition: str, lease: Lease, operations: Sequence[Operation]) -> int | None:
    """Execute a batch, all or none. Return the index of the operation that was refused, or None.

    Raises:
        LeaseLost: somebody has taken the lease over before; nothing was done.
    """
    if lease.fence is None:
        return await items.batch(partition, operations)
    if lease.name != partition:
        raise ValueError(f"what lies in {partition} does not change under the lease for {lease.name}")
    return await change_under(lease, items, operations)


async def _there(items: Items, partition: str, ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for begin in range(0, len(ids), _IDS_A_QUERY):
        given = {f"@id{number}": id for number, id in enumerate(ids[begin : begin + _IDS_A_QUERY])}
        statement = f"SELECT VALUE c.id FROM c WHERE c.id IN ({', '.join(given)})"
        found.update(await items.query(partition, statement, given))
    return found
