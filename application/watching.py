"""Watching single streams: a watcher is told when its stream continues, whichever process has appended.

The log is read once for all watchers, from its end on, together with the followers, in the partitions of the
watched streams. Nobody's place in it is stored: a watcher reads its stream from where it is, and a needless
notification does no harm.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import anyio

from application.audit.chain import tenant_of
from application.event_store import EventStore
from application.shared_reads import SharedReads
from application.subscription import Subscription
from application.supervised import Supervised
from application.tail import Tail
from domain.interest import EVERYTHING

_LOOK_SECONDS = 1.0
"""The pause between two reads of the log while nothing wakes us, because a notification of another process
may be lost."""

_REST_SECONDS = 0.01
_PAUSE_AFTER_A_FAILURE_SECONDS = 1.0


class Watches:
    """All watchers of streams in this process. Use it from one event loop."""

    def __init__(self, store: EventStore, reads: SharedReads, *, batch_size: int) -> None:
        self._store = store
        self._reads = reads
        self._batch_size = batch_size
        self._alarm = reads.subscribe(EVERYTHING)
        self._watchers: dict[str, set[Subscription]] = {}
        self._somebody_came = anyio.Event()
        self._supervised = Supervised("watching")

    @contextmanager
    def of(self, stream: str) -> Iterator[Subscription]:
        """Yield a subscription that is woken whenever the stream may have continued. Read the stream once
        before the first wait."""
        watchers = self._watchers.setdefault(stream, set())
        subscription = Subscription(watchers)
        self._somebody_came.set()
        self._alarm.wake()
        try:
            yield subscription
        finally:
            subscription.close()
            if not watchers and self._watchers.get(stream) is watchers:
                del self._watchers[stream]

    async def run(self) -> None:
        """Wake the watchers, until cancelled, whatever happens to the store meanwhile or is found in it. An
        event of a later release, which this one cannot read, is skipped by beginning again at the log's end.
        """
        while True:
            await self._somebody_came.wait()
            self._somebody_came = anyio.Event()
            if not await self._supervised.has_done(self._follow):
                await anyio.sleep(_PAUSE_AFTER_A_FAILURE_SECONDS)
                self._somebody_came.set()

    async def _follow(self) -> None:
        """Read on from the log's end as long as anybody watches. Watchers look for themselves for what came
        before it."""
        tail = Tail(self._store, self._reads, batch_size=self._batch_size)
        while self._watchers:
            begun = await tail.turn_to(set(map(self._partition_of, self._watchers)))
            self._wake(stream for stream in self._watchers if self._partition_of(stream) in begun)
            events = await tail.next()
            self._supervised.note_progress()
            self._wake({recorded.stream for recorded in events})
            if not events:
                await self._alarm.wait(_LOOK_SECONDS)
                await anyio.sleep(_REST_SECONDS)

    def _partition_of(self, stream: str) -> str:
        return self._store.partition_of(tenant_of(stream))

    def _wake(self, streams: Iterable[str]) -> None:
        for stream in streams:
            for watcher in self._watchers.get(stream, ()):
                watcher.wake()
