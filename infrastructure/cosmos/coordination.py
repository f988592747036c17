"""Changes of what instances share besides the log, in the partition of the lease under which it changes.

A batch takes so many operations and bytes. What is more goes in several, each under the lease: a change that
was made in part comes again as a whole, since whoever asks for it derives it from the log.
"""

from collections.abc import Collection, Sequence

from domain.errors import StoreUnavailable
from domain.lease import Lease
from infrastructure.cosmos.items import Item, Items, Operation
from infrastructure.cosmos.leases import change_under
from infrastructure.cosmos.transactions import parts

PASSED_SECONDS = 10.0
"""How often positions are saved up to which a follower has only passed by: else each event of a tenant would
be twenty of them, some 10 RU each."""

_FENCE_OPERATIONS = 1
"""Beside the others in a batch under a lease."""

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
    """Put items in place of what is there, add those that are not there, and remove those that are, by id.

    It is looked first what is there: a batch of which one operation has nothing to do is not done at all.

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
    """A batch, all or none. The number of the operation that found something else than it expected.

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
