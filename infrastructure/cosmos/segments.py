"""A tenant's log as a sequence of segments. Each segment is a logical partition of Cosmos DB, and the last
one grows.

A logical partition holds 20 GB. So a segment that has grown large is closed for good, and the tenant's log
continues in the next one: one order, one chain and numbers without a gap lead through all of them. The
partition of the first segment has the tenant's name, the others add a suffix. A tenant's own name is a UUID.

A closed segment does not change any more, except by archives. So a process needs to learn about it only once,
and only the last known segment may have been closed since. A reader finds a signpost there; a writer that
looks for the end of the order finds it closed.
"""

from bisect import bisect_right
from collections.abc import Sequence
from threading import Lock

import msgspec

from infrastructure.cosmos.ends import (
    GATE_ID,
    ORDER_ID,
    BrokenLog,
    End,
    beginning_after,
    end_of,
    is_closed,
    partition_name,
)
from infrastructure.cosmos.items import Item


class _Row(msgspec.Struct, frozen=True):
    """A tenant's segments: the ends of the closed ones, and a number up to which there are events at
    least."""

    closed: tuple[End, ...] = ()
    seen: int = 0


class Segments:
    """What is known of tenants' segments. Any thread may use this."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._proven: dict[str, int] = {}
        self._lock = Lock()

    def last(self, tenant: str) -> int:
        """Return the number of the last known segment, counted from 0."""
        return len(self._rows.get(tenant, _Row()).closed)

    def begins(self, tenant: str) -> Sequence[int]:
        """Return the numbers of the events before each known segment."""
        return [0, *(end.head.position for end in self._rows.get(tenant, _Row()).closed)]

    def holding(self, tenant: str, after: int) -> int | None:
        """Return the segment that holds the event after a number, or will hold it, or None if that is not
        known yet."""
        row = self._rows.get(tenant)
        if row is None or after > row.seen:
            return None
        return bisect_right([end.head.position for end in row.closed], after)

    def see(self, tenant: str, position: int) -> None:
        """Note that an event with this number is in the last known segment or before."""
        with self._lock:
            row = self._rows.get(tenant)
            if row is not None and position > row.seen:
                self._rows[tenant] = msgspec.structs.replace(row, seen=position)

    def to_be_seen(self, end: End) -> Sequence[tuple[str, str]]:
        """Return the partitions and ids that must be read once to know whether an open segment is the last
        one."""
        tenant, number = end.head.tenant, end.segment
        if self._proven.get(tenant) == number:
            return ()
        behind = (partition_name(tenant, number + 1), ORDER_ID)
        return [behind, (end.partition, GATE_ID)] if end.etag is None else [behind]

    def is_last(self, end: End, seen: Sequence[Item | None]) -> bool:
        """Return whether the segment is the last one, given what was read there: no order behind it, and no
        closed gate."""
        if any(item is not None and item.get("isClosed", True) for item in seen):
            return False
        self._proven[end.head.tenant] = end.segment
        return True

    def look_again(self, end: End, order: Item | None) -> None:
        """Check that a segment that is not the last one has been closed since it was found open.

        Raises:
            BrokenLog: it was not. All that was known of the tenant is forgotten.
        """
        if order is None or not is_closed(order):
            with self._lock:
                self._rows.pop(end.head.tenant, None)
            raise BrokenLog(f"the log is broken: {end.partition} was closed, and is open or has no order")

    def learn(self, tenant: str, number: int, order: Item | None) -> End | None:
        """Learn from the document that ends the order in a segment, when those before it are known. Return
        the end, or None if the log continues in the next segment, or if another thread has forgotten those
        before.

        Raises:
            BrokenLog: the segment does not begin where the one before ends. All that was known of the tenant
                is forgotten.
        """
        with self._lock:
            row = self._rows.get(tenant, _Row())
            if number > len(row.closed):
                return None
            try:
                end = end_of(tenant, order, beginning_after(row.closed[number - 1]) if number else None)
            except BrokenLog:
                self._rows.pop(tenant, None)
                raise
            seen = max(row.seen, end.head.position)
            closed = (*row.closed, end) if end.is_closed and number == len(row.closed) else row.closed
            self._rows[tenant] = _Row(closed, seen)
            return None if end.is_closed else end
