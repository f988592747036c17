"""The log's tail: what is appended from now on, only in those partitions that somebody wants to know about.

Callers look for themselves for what was there before a partition is read. A partition that cannot be read
does not hold up the others.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import TypeVar

import structlog

from application.event_store import EventStore
from application.partition_backoff import PartitionBackoff
from application.shared_reads import SharedReads
from domain.errors import StoreUnavailable
from domain.event import Recorded

_REST_FOR_A_SECOND = 4.0
"""All wanted partitions are read one after the other, so the others have waited for each failure."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Tail:
    """Reads partitions from their present ends on, each as long as it is wanted."""

    def __init__(self, store: EventStore, reads: SharedReads, *, batch_size: int) -> None:
        self._store = store
        self._reads = reads
        self._batch_size = batch_size
        self._positions: dict[str, str] = {}
        self._backoff = PartitionBackoff(rest_for_a_second=_REST_FOR_A_SECOND)
        self._switches = store.switches

    async def turn_to(self, partitions: AbstractSet[str]) -> frozenset[str]:
        """Read these partitions from now on, and no others. Return those of them that were not read until
        now, or whose place is unknown because the log is another one.

        A partition whose end cannot be read is not among these. It is tried again at a later call.
        """
        if self._switches != self._store.switches:
            self._switches = self._store.switches
            self._positions.clear()
        self._backoff.forget_besides(partitions)
        for unwanted in self._positions.keys() - partitions:
            del self._positions[unwanted]
        begun: set[str] = set()
        for partition in sorted(partitions - self._positions.keys()):
            head = await self._tried(partition, partial(self._store.head, partition))
            if head is not None:
                self._positions[partition] = head
                begun.add(partition)
        return frozenset(begun)

    async def next(self) -> Sequence[Recorded]:
        """Return the next events, up to a batch of each partition; none if there are none, or if none can be
        read."""
        events: list[Recorded] = []
        for partition, position in sorted(self._positions.items()):
            read = partial(self._reads.read, partition, position, self._batch_size)
            batch = await self._tried(partition, read)
            if batch is not None:
                events += batch.events
                self._positions[partition] = batch.position
        return events

    async def _tried(self, partition: str, work: Callable[[], Awaitable[T | None]]) -> T | None:
        """Return the result of the work, or None if the partition is away, or was a moment ago. That is
        logged once."""
        if self._backoff.why(partition) is not None:
            return None
        began = time.monotonic()
        try:
            done = await work()
        except StoreUnavailable as error:
            if self._backoff.note(partition, error, time.monotonic() - began):
                log.warning("partition_not_followed", partition=partition, error=str(error))
            return None
        self._backoff.settle(partition)
        return done
