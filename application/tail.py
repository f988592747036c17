"""The log's tail: what is appended from now on, in those partitions alone in which somebody wants to know.

What is known of a partition before it is read, whoever wants to know of it looks for himself. A partition
that cannot be read keeps no other back.
"""

from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import TypeVar

import anyio
import structlog

from application.event_store import EventStore
from application.shared_reads import SharedReads
from domain.errors import StoreUnavailable
from domain.event import Recorded

_REST_SECONDS = 1.0
"""For how long a partition is left alone that could not be read."""

_REST_FOR_A_SECOND = 4.0
"""The same for each second that the failure took: the others have waited for it."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Tail:
    """Reads partitions from their present ends on, each for as long as it is wanted."""

    def __init__(self, store: EventStore, reads: SharedReads, *, batch_size: int) -> None:
        self._store = store
        self._reads = reads
        self._batch_size = batch_size
        self._positions: dict[str, str] = {}
        self._again_at: dict[str, float] = {}
        self._switches = store.switches

    async def turn_to(self, partitions: AbstractSet[str]) -> frozenset[str]:
        """Read these from now on, and no others; those of them that were not read until now, or of which
        nobody knows where the reading was, since the log is another.

        One whose end cannot be told is not among these: it is tried again at a later call.
        """
        if self._switches != self._store.switches:
            self._switches = self._store.switches
            self._positions.clear()
        for unwanted in (self._positions.keys() | self._again_at.keys()) - partitions:
            self._positions.pop(unwanted, None)
            self._again_at.pop(unwanted, None)
        begun: set[str] = set()
        for partition in sorted(partitions - self._positions.keys()):
            head = await self._tried(partition, partial(self._store.head, partition))
            if head is not None:
                self._positions[partition] = head
                begun.add(partition)
        return frozenset(begun)

    async def next(self) -> Sequence[Recorded]:
        """The next events, up to a batch of each partition; none when there are none, or none can be read."""
        events: list[Recorded] = []
        for partition, position in sorted(self._positions.items()):
            read = partial(self._reads.read, partition, position, self._batch_size)
            batch = await self._tried(partition, read)
            if batch is not None:
                events += batch.events
                self._positions[partition] = batch.position
        return events

    async def _tried(self, partition: str, work: Callable[[], Awaitable[T | None]]) -> T | None:
        """What comes of it; nothing where the partition is away, or was a moment ago. That is told once."""
        began = anyio.current_time()
        if began < self._again_at.get(partition, began):
            return None
        try:
            done = await work()
        except StoreUnavailable as error:
            if partition not in self._again_at:
                log.warning("partition_not_followed", partition=partition, error=str(error))
            now = anyio.current_time()
            self._again_at[partition] = now + max(_REST_SECONDS, _REST_FOR_A_SECOND * (now - began))
            return None
        self._again_at.pop(partition, None)
        return done
