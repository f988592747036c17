"""The container of the log, in which an append is one batch in the last segment of a tenant's log."""

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
"""Of events, in a segment that is closed. A logical partition takes 20 GB, and indexes are not counted."""


class Lost(Exception):
    """A batch was not stored, since an operation of it found something else than it expected."""

    def __init__(self, refused: Refused, *, misses_what_it_follows: bool) -> None:
        super().__init__(str(refused))
        self.misses_what_it_follows = misses_what_it_follows


class LogContainer(ThreadedContainer):
    """The log's container in a database, made if it is absent. A segment is closed once there are
    ``segment_bytes`` of events in it."""

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
        """The present end of a tenant's order: one read of one small document, and one more for each segment
        that is not known.

        Raises:
            BrokenLog: the segments do not follow one on the other.
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
        """Remember what is told by the end of a tenant's order, which it is for now."""
        self.segments.see(end.head.tenant, end.head.position)
        self.fills.note(end.head.tenant, end.fill)

    def segments_of(self, tenant: str) -> Sequence[str]:
        """The partitions in which a tenant's log is, from the first."""
        return [partition_name(tenant, number) for number in range(self.end(tenant).segment + 1)]

    def find_closed(self, end: End, id: str) -> Item | None:
        """An item, or the mark in its place, in one of the segments before that which ends so."""
        for number in reversed(range(end.segment)):
            if (item := self.read(partition_name(end.head.tenant, number), id)) is not None:
                return item
        return None

    def with_room(self, end: End) -> End:
        """The end, or the one in the next segment where this one is full: that is closed now, unless others
        append meanwhile."""
        if end.etag is None or not self.is_full(end):
            return end
        self._close(end, end.etag)
        return self.end(end.head.tenant)

    def is_full(self, end: End) -> bool:
        """Whether a segment is to be closed, that ends so."""
        return end.fill.bytes >= self._segment_bytes

    def store(
        self, partition: str, order: Item, etag: str | None, items: Sequence[Item], *, after: Sequence[str]
    ) -> str:
        """Create items and replace the document that ends the order, all or nothing; without an etag it is
        to be made. ``after`` are the ids of items that must be there. The order's new etag.

        Raises:
            Lost: an item is there already, one is not, or the order has gone on. So it is too where the
                answer to a first try was lost: whoever looks then finds the items as they were given.
            StoreUnavailable: it is not known whether they are stored.
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
        """If somebody has appended, marked or closed meanwhile, nothing is done: who is told nothing looks
        anew."""
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
