"""The end of a tenant's order in a segment of the log, and what stands there once the segment is closed.

Every append replaces the document that ends the order, under its etag. Closing a segment replaces it too, so
nothing can be appended to a closed segment.
"""

from base64 import b64decode, b64encode
from typing import Any

import msgspec

from application.audit.chain import Head, beginning_of
from application.event_log import Fill, Place
from domain.errors import StoreUnavailable
from infrastructure.cosmos.items import PARTITION_KEY, Item

ORDER_ID = "order"
"""The id of the document that ends the order in a segment of a tenant's log."""

SIGNPOST_ID = "signpost"
"""The id of what stands behind the last event of a closed segment."""

GATE_ID = "gate"
"""The id of the document that both an archive's marks and the closing of a segment write, so that no mark
comes into a closed segment."""

MOST_BYTES_OF_A_PARTITION = 20_000_000_000
"""The capacity of a logical partition. Azure does not say whether its 20 GB are these or 7% more."""


class BrokenLog(StoreUnavailable):
    """The segments of a tenant's log do not fit together. A failover or a restore may have undone writes in
    one of them, and not those in another."""


class End(msgspec.Struct, frozen=True):
    """The end of a tenant's order in a segment, as it was read: the place of the last event, the chain, the
    etag.

    The segment holds the events after the number ``after``, where the chain was ``chain_before``. ``sized``
    of them have ``size`` bytes together. That is all of them, unless an older release, which did not count
    bytes, has appended.
    """

    head: Head
    stream: str = ""
    version: int = 0
    etag: str | None = None
    size: int = 0
    sized: int = 0
    segment: int = 0
    after: int = 0
    chain_before: bytes = b""
    is_closed: bool = False

    @property
    def partition(self) -> str:
        """The partition of the segment."""
        return partition_name(self.head.tenant, self.segment)

    @property
    def place(self) -> Place | None:
        """The place of the last event, or None if there is no event."""
        return Place(self.head.position, self.stream, self.version) if self.head.position else None

    @property
    def fill(self) -> Fill:
        """How full the segment is. Events that were not counted are assumed to be as large as the others; if
        none was counted, to have no size."""
        number = self.head.number - self.after
        size = self.size * number // self.sized if self.sized else 0
        return Fill(events=number, bytes=size, most_bytes=MOST_BYTES_OF_A_PARTITION)


def partition_name(tenant: str, segment: int) -> str:
    """Return the partition of a segment of a tenant's log. Segments are counted from 0."""
    return f"{tenant}~{segment}" if segment else tenant


def end_of(tenant: str, item: Item | None, beginning: End | None = None) -> End:
    """Return the end of the order in a segment, as its document says. Without a document it is the segment's
    beginning.

    Raises:
        BrokenLog: the segment begins elsewhere than the one before ends.
    """
    beginning = beginning or End(beginning_of(tenant))
    if item is None:
        return beginning
    told = item.get("closed", item)
    begins = told.get("after_", 0), b64decode(told.get("before_", ""))
    if begins != (beginning.after, beginning.chain_before):
        where = item[PARTITION_KEY]
        raise BrokenLog(f"the log is broken: {where} does not begin where the partition before it ends")
    head = Head(
        tenant=tenant,
        number=told["number"],
        position=told["position_"],
        chain=b64decode(told["chain"]),
        latest_at=told["latestAt_"],
    )
    return msgspec.structs.replace(
        beginning,
        head=head,
        stream=told["stream_"],
        version=told["version_"],
        etag=item["_etag"],
        size=told.get("size_", 0),
        sized=told.get("sized_", 0),
        is_closed=is_closed(item),
    )


def is_closed(order: Item) -> bool:
    """Return whether the segment is closed, given the document that ends its order. Nothing is appended to it
    then."""
    return "closed" in order


def beginning_after(closed: End) -> End:
    """Return the end of the order in the segment after a closed one, before it holds anything."""
    return End(
        closed.head,
        closed.stream,
        closed.version,
        segment=closed.segment + 1,
        after=closed.head.position,
        chain_before=closed.head.chain,
    )


def order_of(end: End) -> Item:
    """Return the document that ends the order of a segment."""
    return {"id": ORDER_ID, PARTITION_KEY: end.partition, **_told(end)}


def closed_order(end: End) -> Item:
    """Return the document that ends the order of a closed segment. A release that does not know segments
    cannot read it."""
    return {"id": ORDER_ID, PARTITION_KEY: end.partition, "closed": _told(end)}


def signpost(end: End) -> Item:
    """Return the document that stands where the next event would stand. Whoever reads on finds it there."""
    return {"id": SIGNPOST_ID, PARTITION_KEY: end.partition, "position": end.head.position + 1}


def gate(partition: str, *, is_closed: bool) -> Item:
    """Return the gate's document: see :data:`GATE_ID`. The gate of a closed segment stays closed."""
    return {"id": GATE_ID, PARTITION_KEY: partition, "isClosed": is_closed}


def _told(end: End) -> dict[str, Any]:
    return {
        "number": end.head.number,
        "position_": end.head.position,
        "stream_": end.stream,
        "version_": end.version,
        "chain": b64encode(end.head.chain).decode(),
        "latestAt_": end.head.latest_at,
        "size_": end.size,
        "sized_": end.sized,
        **({"after_": end.after, "before_": b64encode(end.chain_before).decode()} if end.segment else {}),
    }
