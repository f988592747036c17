"""The log's tail: what is appended from now on, in those partitions alone in which somebody wants to know.

What is known of a partition before it is read, whoever wants to know of it looks for himself.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from application.event_store import EventStore
from application.shared_reads import SharedReads
from domain.event import Recorded


class Tail:
    """Reads partitions from their present ends on, each for as long as it is wanted."""

    def __init__(self, store: EventStore, reads: SharedReads, *, batch_size: int) -> None:
        self._store = store
        self._reads = reads
        self._batch_size = batch_size
        self._positions: dict[str, str] = {}

    async def turn_to(self, partitions: AbstractSet[str]) -> frozenset[str]:
        """Read these from now on, and no others; those of them that were not read until now."""
        for unwanted in self._positions.keys() - partitions:
            del self._positions[unwanted]
        begun = frozenset(partitions - self._positions.keys())
        for partition in sorted(begun):
            self._positions[partition] = await self._store.head(partition)
        return begun

    async def next(self) -> Sequence[Recorded]:
        """The next events, up to a batch of each partition; none when there are none."""
        events: list[Recorded] = []
        for partition, position in sorted(self._positions.items()):
            batch = await self._reads.read(partition, position, self._batch_size)
            if batch is not None:
                events += batch.events
                self._positions[partition] = batch.position
        return events
