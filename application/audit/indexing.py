"""Keeps the index beside the log, behind the writes: a follower's log and its handler.

It reads events as they are stored. Under load it reads a few times a second and takes many events at once, so
that appends are slowed down as little as possible: a read costs as much as many events.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import anyio
import msgspec
import structlog

from application.audit.ports import Index, IndexReader, Noted, StoredLog
from application.audit.rows import noted
from application.event_log import Compared, number_of, position_of
from application.event_store import EventStore
from application.log_batches import is_full_of, size_of, weight_of
from application.subscription import Subscription
from domain.event import Event, Metadata, Recorded
from domain.interest import EVERYTHING, Interest
from domain.lease import Lease

NAME = "audit"
"""The name of the follower, of its lease, and of its position among those that a query waits for."""

LOOK_EVERY_SECONDS = 0.2
INDEXED_AT_ONCE = 1000

log = structlog.get_logger(__name__)


_UNREAD = Event()


class AsStored(Recorded, frozen=True, kw_only=True):
    """A recorded event whose payload nobody has read."""

    partition: str
    noted: Noted


class Batch(msgspec.Struct, frozen=True):
    """Stored events in the log's order, and the position after the last of them."""

    events: Sequence[Recorded]
    position: str
    is_cut: bool
    """Whether there may be more behind it now."""
    weight: int
    """What it costs to remember them, counted in ordinary events."""


class LogAsStored:
    """The log as this follower reads it."""

    def __init__(self, store: EventStore, stored: StoredLog) -> None:
        self._store = store
        self._stored = stored
        self._rests_until: dict[str, float] = {}

    @property
    def epoch(self) -> int:
        """Always 0, because the content of events is not remembered."""
        return 0

    async def partitions(self) -> Sequence[str]:
        """Return the partitions of the log."""
        return await self._store.partitions()

    async def read(self, partition: str, after: str | None, limit: int) -> Batch | None:
        """Return the next events after a position, or None if there are none, or were only a few a moment
        ago."""
        now = anyio.current_time()
        if now < self._rests_until.get(partition, 0.0):
            return None
        entries = await self._stored.read(partition, number_of(after), limit)
        is_cut = is_full_of(entries, limit)
        if not is_cut:
            self._rests_until[partition] = now + LOOK_EVERY_SECONDS
        if not entries:
            return None
        newest = entries[-1]
        position = position_of(newest.id, newest.stream, newest.version)
        events = [_as_recorded(partition, noted(entry)) for entry in entries]
        return Batch(events, position, is_cut, weight_of(len(entries), size_of(entries)))

    async def compare(self, positions: Mapping[str, str]) -> Compared:
        """Find the partitions whose given position is not of this log."""
        return await self._store.compare(positions)

    async def count_after(self, partition: str, after: str | None) -> int:
        """Return about how many events follow a position."""
        return await self._store.count_after(partition, after)

    def subscribe(self, wants: Interest) -> "_Unhurried":
        """Return an alarm that goes off now and then while something is appended."""
        return _Unhurried(self._store.subscribe(), self._hurry)

    def _hurry(self) -> None:
        self._rests_until.clear()


class Indexing:
    """A follower's handler that adds new events to the index."""

    name = NAME
    wants = EVERYTHING
    may_repeat_unnoticed = True

    def __init__(self, index: Index) -> None:
        self._index = index

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Add events, and the position after them, all or none."""
        added = [recorded for recorded in events if isinstance(recorded, AsStored)]
        newest = added[-1]
        position = position_of(newest.noted.entry.id, newest.stream, newest.version)
        await self._index.put(newest.partition, [each.noted for each in added], position, lease)

    async def start_over(self) -> None:
        """Delete the index, because the log is not the one that was indexed. Anchors outside show whether
        that is right."""
        log.error("audit_index_made_anew", why="the last event that it knew is not in the log any more")
        await self._index.clear()


class IndexPosition:
    """The position up to which the index is complete, which is stored in the index itself."""

    passed_seconds = 1.0

    def __init__(self, index: IndexReader) -> None:
        self._index = index

    async def load(self, follower: str, partition: str, lease: Lease) -> str | None:
        """Return the position after the last event that was added."""
        return await self._index.reached(partition)

    async def load_all(
        self, follower: str, partitions: Sequence[str], lease: Lease
    ) -> Mapping[str, str | None]:
        """Return the position in each of some partitions. An index beside the log has one partition."""
        return {partition: await self.load(follower, partition, lease) for partition in partitions}

    async def save(self, follower: str, partition: str, position: str, lease: Lease) -> None:
        """Do nothing: the position was saved with the events."""

    async def save_all(self, follower: str, positions: Mapping[str, str], lease: Lease) -> None:
        """Do nothing: the positions were saved with the events."""

    async def forget(self, follower: str, partitions: Sequence[str], lease: Lease) -> None:
        """Do nothing: the position was deleted with the events, see :meth:`Indexing.start_over`."""


class _Unhurried:
    """An alarm that appends set off at most every so often, and :meth:`wake` at once."""

    def __init__(self, appends: Subscription, hurry: Callable[[], None]) -> None:
        self._appends = appends
        self._hurry = hurry
        self._now = anyio.Event()

    async def wait(self, seconds: float) -> None:
        """Return when there may be something new, or after ``seconds``."""
        with anyio.move_on_after(LOOK_EVERY_SECONDS):
            await self._now.wait()
        if not self._now.is_set() and seconds > LOOK_EVERY_SECONDS:
            await self._appends.wait(seconds - LOOK_EVERY_SECONDS)
        self._now = anyio.Event()

    def reset(self) -> None:
        """Do nothing: a follower that rests reads and finds nothing, so what came before that read still has
        to wake it."""

    def wake(self) -> None:
        """End a wait now, and let nobody rest."""
        self._hurry()
        self._now.set()
        self._appends.wake()

    def close(self) -> None:
        """End the subscription."""
        self._appends.close()


def _as_recorded(partition: str, event: Noted) -> Recorded:
    entry = event.entry
    return AsStored(
        stream=entry.stream,
        version=entry.version,
        timestamp=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=event.at),
        meta=_NOBODY,
        event=_UNREAD,
        partition=partition,
        noted=event,
    )


_NOBODY = Metadata(tenant="", actor="", correlation_id="", command_id="")
