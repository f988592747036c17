"""The container of the log. An append is one batch in the last segment of a tenant's log."""

from collections.abc import Sequence
from contextlib import suppress

from infrastructure.cosmos.containers import indexing_policy
from infrastructure.cosmos.ends import (
    GATE_ID,
    ORDER_ID,
    End,
    closed_order,
    gate,
    partition_name,
    signpost,
)
from infrastructure.cosmos.fills import Fills
from infrastructure.cosmos.items import Item, Operation
from infrastructure.cosmos.log_documents import INDEXED, INDEXED_LISTS, STREAM_ORDER
from infrastructure.cosmos.segments import Segments
from infrastructure.cosmos.threaded import Refused, ThreadedContainer

SEGMENT_BYTES = 8_000_000_000
"""The bytes of events at which a segment is closed. A logical partition holds 20 GB, and indexes are not
counted here."""


class Lost(Exception):
    """A batch was not stored, because one of its operations was refused."""

    def __init__(self, refused: Refused, *, misses_what_it_follows: bool) -> None:
        super().__init__(str(refused))
        self.misses_what_it_follows = misses_what_it_follows


class LogContainer(ThreadedContainer):
    """The log's container, which is created if it is absent. A segment is closed once it holds
    ``segment_bytes`` of events."""

    def __init__(
        self, endpoint: str, key: str, database: str, name: str, *, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        super().__init__(
            endpoint, key, database, name, indexing_policy(INDEXED, [STREAM_ORDER], INDEXED_LISTS)
        )
        self._segment_bytes = segment_bytes
        self.segments = Segments()
        self.fills = Fills()

    def end(self, tenant: str) -> End:
        """Return the present end of a tenant's order. This reads one small document, and one more for each
        segment that is not known yet.

        Raises:
            BrokenLog: the segments do not fit together.
            StoreUnavailable: the account is away.
        """
        while True:
            number = self.segments.last(tenant)
            order = self.read(partition_name(tenant, number), ORDER_ID)
            end = self.segments.learn(tenant, number, order)
            if end is None:
                continue
            seen = [self.read(*place) for place in self.segments.to_be_seen(end)]
            if self.segments.is_last(end, seen):
                self.note_end(end)
                return end
            self.segments.look_again(end, self.read(end.partition, ORDER_ID))

    def note_end(self, end: End) -> None:
        """Note what the present end of a tenant's order says."""
        self.segments.see(end.head.tenant, end.head.position)
        self.fills.note(end.head.tenant, end.fill)

    def segments_of(self, tenant: str) -> Sequence[str]:
        """Return the partitions that hold a tenant's log, from the first on."""
        return [partition_name(tenant, number) for number in range(self.end(tenant).segment + 1)]

    def find_closed(self, end: End, id: str) -> Item | None:
        """Return an item, or the mark in its place, if it is in a segment before the one that ``end`` is
        of."""
        for number in reversed(range(end.segment)):
            if (item := self.read(partition_name(end.head.tenant, number), id)) is not None:
                return item
        return None

    def with_room(self, end: End) -> End:
        """Return ``end``, or the end in the next segment if this segment is full. A full segment is closed
        first, unless others append meanwhile."""
        if end.etag is None or not self.is_full(end):
            return end
        self._close(end, end.etag)
        return self.end(end.head.tenant)

    def is_full(self, end: End) -> bool:
        """Return whether a segment with this end has to be closed."""
        return end.fill.bytes >= self._segment_bytes

    def store(
        self, partition: str, order: Item, etag: str | None, items: Sequence[Item], *, after: Sequence[str]
    ) -> str:
        """Create items and replace the document that ends the order, all or none. Without an etag that
        document is created. Items with the ids ``after`` must exist. Return the document's new etag.

        Raises:
            Lost: an item exists already, one of ``after`` does not, or the order has continued. The same
                happens if the answer to a first try was lost: whoever looks then finds the items as they were
                given.
            StoreUnavailable: it is not known whether the items are stored.
        """
        end: Operation = ("create", (order,), {})
        if etag is not None:
            end = ("replace", (order["id"], order), {"if_match_etag": etag})
        looks: list[Operation] = [("read", (id,), {}) for id in after]
        try:
            results = self.batch(partition, [end, *looks, *(("create", (item,), {}) for item in items)])
        except Refused as refused:
            raise Lost(refused, misses_what_it_follows=0 < refused.operation <= len(looks)) from refused
        return str(results[0]["eTag"])

    def _close(self, end: End, etag: str) -> None:
        """Close a segment. If somebody has appended, marked or closed meanwhile, nothing is done. The caller
        is not told and looks again."""
        there = self.read(end.partition, GATE_ID)
        shut = gate(end.partition, is_closed=True)
        closing: list[Operation] = [
            ("replace", (ORDER_ID, closed_order(end)), {"if_match_etag": etag}),
            ("create", (signpost(end),), {}),
            ("create", (shut,), {})
            if there is None
            else ("replace", (GATE_ID, shut), {"if_match_etag": there["_etag"]}),
        ]
        with suppress(Refused):
            self.batch(end.partition, closing)
