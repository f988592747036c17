"""The end of a tenant's order in a segment of the log, and what stands there once the segment is closed.

The document that ends the order is replaced under its etag by every append, and closing replaces it too: so
nothing is appended to a closed segment.
"""

from base64 import b64decode, b64encode
from typing import Any

import msgspec

from application.audit.chain import Head, beginning_of
from application.event_log import Fill, Place
from domain.errors import StoreUnavailable
from infrastructure.cosmos.items import PARTITION_KEY, Item

ORDER_ID = "order"
"""The document that ends the order in a segment of a tenant's log."""

SIGNPOST_ID = "signpost"
"""What stands behind the last event of a segment that was closed."""

GATE_ID = "gate"
"""What both an archive's marks and the closing of a segment write, so that no mark comes behind that."""

MOST_BYTES_OF_A_PARTITION = 20_000_000_000
"""Of a logical partition. Azure does not say whether its 20 GB are these or 7% more."""


class BrokenLog(StoreUnavailable):
    """A tenant's segments do not follow one on the other. A failover or a restore may have taken back what
    was written in one of them, and not what was written in another."""


class End(msgspec.Struct, frozen=True):
    """The end of a tenant's order in a segment, as it was read: the last event's place, the chain, the etag.

    The segment's events are those after the number ``after``, where the chain was ``chain_before``. ``sized``
    of them have ``size`` bytes together: all, but where a release that did not count them has appended.
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
        """The segment's."""
        return partition_name(self.head.tenant, self.segment)

    @property
    def place(self) -> Place | None:
        """The last event's place; none where there is none."""
        return Place(self.head.position, self.stream, self.version) if self.head.position else None

    @property
    def fill(self) -> Fill:
        """How much is in the segment. Those that were not counted are taken for as large as the others; where
        none was, for nothing."""
        number = self.head.number - self.after
        size = self.size * number // self.sized if self.sized else 0
        return Fill(events=number, bytes=size, most_bytes=MOST_BYTES_OF_A_PARTITION)


def partition_name(tenant: str, segment: int) -> str:
    """Where a segment of a tenant's log lies; they are counted from 0."""
    return f"{tenant}~{segment}" if segment else tenant


def end_of(tenant: str, item: Item | None, beginning: End | None = None) -> End:
    """The end of the order in a segment as a document tells it; without one, the segment's beginning.

    Raises:
        BrokenLog: it begins elsewhere than the segment before ends.
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
    """Whether nothing is appended any more to the segment whose order a document ends."""
    return "closed" in order


def beginning_after(closed: End) -> End:
    """The end of the order in the segment after a closed one, before anything is there."""
    return End(
        closed.head,
        closed.stream,
        closed.version,
        segment=closed.segment + 1,
        after=closed.head.position,
        chain_before=closed.head.chain,
    )


def order_of(end: End) -> Item:
    """The document that ends the order of a segment."""
    return {"id": ORDER_ID, PARTITION_KEY: end.partition, **_told(end)}


def closed_order(end: End) -> Item:
    """The document that ends the order of a closed segment: who does not know of segments cannot read it."""
    return {"id": ORDER_ID, PARTITION_KEY: end.partition, "closed": _told(end)}


def signpost(end: End) -> Item:
    """Stands where the next event would stand; whoever reads on in the order comes upon it."""
    return {"id": SIGNPOST_ID, PARTITION_KEY: end.partition, "position": end.head.position + 1}


def gate(partition: str, *, is_closed: bool) -> Item:
    """See :data:`GATE_ID`; where a segment is closed, it stays as it is."""
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
