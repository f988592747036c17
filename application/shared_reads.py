"""One reading of the log for all followers of a process.

Followers wake together and mostly stand at the same position. The log only grows, so a batch read
after a position stays true for ever: the first to ask reads and decodes it, the others share it.
"""

import time
from collections import OrderedDict
from collections.abc import Sequence

import anyio

from application.event_store import EventStore, LogBatch
from application.subscription import Subscription, Wants

_KEPT_EVENTS = 8_000
"""Of the last batches: many small ones of many partitions, or some large ones."""

_KNOWN_SECONDS = 10.0
"""For how long a position need not be looked up again: followers begin together, mostly at one position."""

_Key = tuple[str, str | None, int]


class SharedReads:
    """The event store's log, read once for several readers."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._turn = anyio.Lock()
        self._batches: OrderedDict[_Key, LogBatch] = OrderedDict()
        self._kept = 0
        self._empty: dict[str, tuple[str | None, int, float]] = {}
        self._known: dict[tuple[str, str], float] = {}
        self._erasures = store.erasures

    async def partitions(self) -> Sequence[str]:
        """The partitions of the log."""
        return await self._store.partitions()

    async def read(self, partition: str, after: str | None, limit: int) -> LogBatch | None:
        """The next events of a partition after a position, or nothing when there are none.

        "Nothing" may be as old as the store allows, but never older than this process's last append; what
        another process appends meanwhile is found at the next wake-up.
        """
        if self._erasures != self._store.erasures:
            self._erasures = self._store.erasures
            self._batches.clear()
            self._kept = 0
        key = (partition, after, limit)
        if (batch := self._batches.get(key)) is not None:
            return batch
        async with self._turn:
            if (batch := self._batches.get(key)) is not None:
                return batch
            if self._is_known_to_be_empty(partition, after):
                return None
            appends, began = self._store.appends(partition), time.monotonic()
            batch = await self._store.read(partition, after, limit)
            if batch is None:
                self._empty[partition] = (after, appends, began)
            else:
                self._keep(key, batch)
            return batch

    async def knows(self, partition: str, position: str) -> bool:
        """Whether a position is one of this log."""
        if time.monotonic() - self._known.get((partition, position), 0.0) < _KNOWN_SECONDS:
            return True
        async with self._turn:
            now = time.monotonic()
            if now - self._known.get((partition, position), 0.0) < _KNOWN_SECONDS:
                return True
            is_known = await self._store.knows(partition, position)
            if is_known:
                self._remember(partition, position, now)
            return is_known

    async def count_after(self, partition: str, after: str | None) -> int:
        """About how many events follow a position."""
        return await self._store.count_after(partition, after)

    def subscribe(self, wants: Wants) -> Subscription:
        """Be woken by appends."""
        return self._store.subscribe(wants)

    def _remember(self, partition: str, position: str, now: float) -> None:
        """The oldest come first."""
        while self._known and now - next(iter(self._known.values())) >= _KNOWN_SECONDS:
            del self._known[next(iter(self._known))]
        self._known.pop((partition, position), None)
        self._known[partition, position] = now

    def _keep(self, key: _Key, batch: LogBatch) -> None:
        self._batches[key] = batch
        self._kept += len(batch.events)
        while self._kept > _KEPT_EVENTS and len(self._batches) > 1:
            _, oldest = self._batches.popitem(last=False)
            self._kept -= len(oldest.events)

    def _is_known_to_be_empty(self, partition: str, after: str | None) -> bool:
        known, appends, began = self._empty.get(partition, ("", -1, 0.0))
        return (
            after == known
            and appends == self._store.appends(partition)
            and time.monotonic() - began < self._store.silent_seconds
        )
