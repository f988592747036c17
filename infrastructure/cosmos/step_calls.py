"""The calls that steps still have to make, in the partition of the lease under which they change."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from application.ports import StepCall
from domain.lease import Lease
from domain.values import derived_id, timestamp
from infrastructure.cosmos.coordination import change
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items

KIND = "call"

_NEXT_LANE = "SELECT TOP 1 c.lane FROM c WHERE c.kind = @kind AND c.lane > @after ORDER BY c.lane"
"""Steps from lane to lane along the index, however many calls each lane has."""

_OLDEST = (
    "SELECT TOP {} * FROM c WHERE c.kind = @kind AND c.lane = @lane AND NOT ARRAY_CONTAINS(@besides, c.key)"
    " ORDER BY c.kind, c.lane, c.dispatchedAt, c.key"
)

_call = msgspec.json.Decoder(StepCall)


class CosmosStepCalls:
    """The calls that all instances share. ``lease`` is the name of the lease under which they change."""

    def __init__(self, database: CosmosDatabase, container: str, lease: str) -> None:
        self._items = Items(database, container)
        self._partition = lease

    async def change(self, *, add: Sequence[StepCall], remove: Sequence[str], lease: Lease) -> None:
        """Add and remove calls, all of them or none, if they fit in one batch.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        await change(
            self._items,
            self._partition,
            lease,
            add=[call_item(self._partition, call) for call in add],
            remove=[_id(id) for id in remove],
        )

    async def waiting(self, *, each: int, besides: Collection[str]) -> Sequence[StepCall]:
        """Return up to ``each`` calls per tenant and service, the oldest first, without the ids
        ``besides``."""
        found: list[StepCall] = []
        after = ""
        while lanes := await self._query(_NEXT_LANE, {"@after": after}):
            after = lanes[0]["lane"]
            items = await self._query(_OLDEST.format(each), {"@lane": after, "@besides": list(besides)})
            found += [call_in(item) for item in items]
        return found

    async def _query(self, statement: str, given: Mapping[str, object]) -> list[Item]:
        return await self._items.query(self._partition, statement, {"@kind": KIND, **given})


def call_in(item: Item) -> StepCall:
    """Return the call that an item holds."""
    return _call.decode(item["call"])


def call_item(partition: str, call: StepCall) -> Item:
    """Return the item to store for a call."""
    return {
        "id": _id(call.id),
        PARTITION_KEY: partition,
        "kind": KIND,
        "key": call.id,
        "lane": f"{call.service} {call.meta.tenant}",
        "dispatchedAt": timestamp(call.dispatched_at),
        "call": msgspec.json.encode(call).decode(),
    }


def _id(id: str) -> str:
    return derived_id(KIND, id)
