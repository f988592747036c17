"""A tenant's log as a row of segments: each is a logical partition of Cosmos DB, and the last one grows.

A logical partition takes 20 GB. So one that has grown large is closed for good, and the tenant's log goes on
in the next: one order, one chain and numbers without a gap lead through all of them. The first segment's
partition bears the tenant's name, those of the next have a suffix; a tenant's own name is a UUID.

What was closed does not change any more, but by archives. So it needs to be learnt once, and only of the last
segment it may be news that it has been closed. Who reads on comes upon a signpost there; who looks for the
end of the order finds it closed.
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
    """One tenant's: the ends of the closed segments, and a number up to which there are events at least."""

    closed: tuple[End, ...] = ()
    seen: int = 0


class Segments:
    """What was learnt of tenants' segments. Any thread may use it."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._proven: dict[str, int] = {}
        self._lock = Lock()

    def last(self, tenant: str) -> int:
        """The number of the last segment that is known, from 0."""
        return len(self._rows.get(tenant, _Row()).closed)

    def begins(self, tenant: str) -> Sequence[int]:
        """The numbers after which those that are known begin."""
        return [0, *(end.head.position for end in self._rows.get(tenant, _Row()).closed)]

    def holding(self, tenant: str, after: int) -> int | None:
        """The segment in which the event after a number is, or will be; none where that has to be learnt."""
        row = self._rows.get(tenant)
        if row is None or after > row.seen:
            return None
        return bisect_right([end.head.position for end in row.closed], after)

    def see(self, tenant: str, position: int) -> None:
        """There is an event with this number in the last segment that is known, or before."""
        with self._lock:
            row = self._rows.get(tenant)
            if row is not None and position > row.seen:
                self._rows[tenant] = msgspec.structs.replace(row, seen=position)

    def to_be_seen(self, end: End) -> Sequence[tuple[str, str]]:
        """Where it must be looked once, by partition and id, whether an open segment is the last one."""
        tenant, number = end.head.tenant, end.segment
        if self._proven.get(tenant) == number:
            return ()
        behind = (partition_name(tenant, number + 1), ORDER_ID)
        return [behind, (end.partition, GATE_ID)] if end.etag is None else [behind]

    def is_last(self, end: End, seen: Sequence[Item | None]) -> bool:
        """Whether it is, by what was seen there: no order behind it, and no gate that is shut."""
        if any(item is not None and item.get("isClosed", True) for item in seen):
            return False
        self._proven[end.head.tenant] = end.segment
        return True

    def look_again(self, end: End, order: Item | None) -> None:
        """A segment that is not the last one may have been closed since it was found open.

        Raises:
            BrokenLog: it was not. All that was learnt is forgotten.
        """
        if order is None or not is_closed(order):
            with self._lock:
                self._rows.pop(end.head.tenant, None)
            raise BrokenLog(f"the log is broken: {end.partition} was closed, and is open or has no order")

    def learn(self, tenant: str, number: int, order: Item | None) -> End | None:
        """What the document tells that ends the order in a segment, of which those before are known; none
        where the log goes on in the next one, or another thread has forgotten those before.

        Raises:
            BrokenLog: the segment does not begin where the one before ends. All that was learnt is forgotten.
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
