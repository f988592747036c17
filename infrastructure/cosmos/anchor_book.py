"""The last anchors in Cosmos DB. They lie in the partition of the lease under which they are made."""

from collections.abc import Sequence

import msgspec

from application.audit.anchors import Anchor
from application.log_copy import KeptAnchor
from domain.lease import Lease
from domain.values import derived_id
from infrastructure.cosmos.coordination import change
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items

KIND = "anchor"

_LAST = "SELECT * FROM c WHERE c.kind = @kind"

_anchor = msgspec.json.Decoder(Anchor)


class CosmosAnchorBook:
    """The anchors of every tenant. ``lease`` is the name of the lease under which they are made."""

    def __init__(self, database: CosmosDatabase, container: str, lease: str) -> None:
        self._items = Items(database, container)
        self._partition = lease

    async def last(self) -> Sequence[Anchor]:
        """Return the last anchor of each tenant."""
        return [_told(item) for item in await self._all()]

    async def of(self, tenant: str) -> Anchor | None:
        """Return the last anchor of a tenant, if it has one."""
        item = await self._items.read(self._partition, _id(tenant))
        return None if item is None else _told(item)

    async def waiting(self) -> Sequence[Anchor]:
        """Return the last anchors that are not known to be published."""
        found = [_told(item) for item in await self._all() if not item["isOut"]]
        return sorted(found, key=lambda anchor: anchor.tenant_id)

    async def keep(self, anchors: Sequence[Anchor], lease: Lease) -> None:
        """Store each anchor as its tenant's last one, not yet published: all or none, if they fit in a batch.

        Raises:
            LeaseLost: the lease has passed on; nothing was kept.
        """
        put = [self._item(anchor, is_out=False) for anchor in anchors]
        await change(self._items, self._partition, lease, put=put)

    async def note_out(self, anchors: Sequence[Anchor], lease: Lease) -> None:
        """Note that these anchors are published.

        Raises:
            LeaseLost: the lease has passed on; it is not noted.
        """
        there = {anchor.id for anchor in await self.waiting()}
        put = [self._item(anchor, is_out=True) for anchor in anchors if anchor.id in there]
        await change(self._items, self._partition, lease, put=put)

    def _item(self, anchor: Anchor, *, is_out: bool) -> Item:
        return anchor_item(self._partition, anchor.tenant_id, msgspec.json.encode(anchor), is_out=is_out)

    async def _all(self) -> list[Item]:
        return await self._items.query(self._partition, _LAST, {"@kind": KIND})


def kept_anchor(item: Item) -> KeptAnchor:
    """Return an anchor in the form in which ``copy-log`` copies it."""
    anchor = _told(item)
    return KeptAnchor(anchor.tenant_id, anchor.sequence, item["anchor"].encode(), item["isOut"])


def anchor_item(partition: str, tenant: str, anchor: bytes, *, is_out: bool) -> Item:
    """Return the item to store for an anchor. ``partition`` is that of the lease under which it is made."""
    return {
        "id": _id(tenant),
        PARTITION_KEY: partition,
        "kind": KIND,
        "isOut": is_out,
        "anchor": anchor.decode(),
    }


def _told(item: Item) -> Anchor:
    return _anchor.decode(item["anchor"])


def _id(tenant: str) -> str:
    return derived_id(KIND, tenant)
