"""One read of the log for all followers of a process.

Followers wake together, and are at a few positions. The log only grows, so a batch that was read after a
position stays true for ever: the first follower to ask reads and decodes it, and the others share it. Those
who come later get the known batches in one, as far as they follow each other, together with what has come
since. A read is as new as one of the store's own, so a follower that was woken finds what woke it.

What this process itself appends behind the known end is a batch that nobody has to read: ids and commits have
the same order, so no other event can come between two whose ids are neighbours. That nothing is behind it is
known as long as every notification of an append since the last read was one of these (ADR 36).
"""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import chain

import anyio
import msgspec

from application.deciders import Committed
from application.event_log import Compared, number_of
from application.event_store import EventStore
from application.log_batches import LogBatch, is_full
from application.partition_backoff import PartitionBackoff
from application.subscription import Subscription
from domain.errors import StoreUnavailable
from domain.interest import Interest

_KEPT_EVENTS = 8_000
"""The ordinary events of the last batches: many small ones of many partitions, or some large ones."""

_BEHIND_SECONDS = 0.05
"""How long an end counts as the end although it is before an event of which this process was told: the
replica that was read lagged, or the log has lost the event. All who were woken share the read, and ask again.
"""

_REST_FOR_A_SECOND = 1.0
"""One follower of all asks at a time whether a failed partition is back."""

_KNOWN_SECONDS = 10.0
"""How long a position need not be looked up again. Followers begin together, mostly at one position."""

_Key = tuple[str, str | None, int]


class SharedReads:
    """The event store's log, read once for several readers."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._turns: dict[str, anyio.Lock] = {}
        self._turn_to_look = anyio.Lock()
        self._batches: OrderedDict[_Key, LogBatch] = OrderedDict()
        self._kept = 0
        self._limits: set[int] = set()
        self._ends: dict[str, _End] = {}
        self._known: dict[tuple[str, str], float] = {}
        self._backoff = PartitionBackoff(rest_for_a_second=_REST_FOR_A_SECOND)
        self._epoch = store.epoch
        store.tell_of_appends(self._keep_appended)

    @property
    def epoch(self) -> int:
        """Whoever remembers the content of events must forget it when this changes."""
        return self._store.epoch

    async def partitions(self) -> Sequence[str]:
        """Return the partitions of the log."""
        return await self._store.partitions()

    async def read(self, partition: str, after: str | None, limit: int) -> LogBatch | None:
        """Return the next events of a partition after a position, or None if there are none.

        They are fewer than two full batches. If they are not cut, the end was reached. That may be as old as
        the store allows, but never older than this process's last append. What another process appends
        meanwhile is found at the next wake-up.

        Raises:
            StoreUnavailable: the partition is away, or was a moment ago.
        """
        self._limits.add(limit)
        self._forget_what_is_past()
        known = self._known_after(partition, after, limit)
        if not self._is_enough(partition, after, known, limit):
            await self._refuse_while_away(partition)
            async with self._turns.setdefault(partition, anyio.Lock()):
                known = self._known_after(partition, after, limit)
                if not self._is_enough(partition, after, known, limit):
                    await self._refuse_while_away(partition)
                    known += await self._read(partition, _end(after, known), limit)
        return _joined(known, limit)

    async def _refuse_while_away(self, partition: str) -> None:
        """Refuse at once, so that a follower with other partitions does not wait for one that fails."""
        error = self._backoff.why(partition)
        if error is not None and len(await self._store.partitions()) > 1:
            raise StoreUnavailable(str(error)) from error

    async def _read(self, partition: str, after: str | None, limit: int) -> list[LogBatch]:
        appends, began = self._store.appends(partition), time.monotonic()
        epoch = self._store.epoch
        with self._backoff.asking(partition):
            batch = await self._store.read(partition, after, limit)
        if epoch != self._store.epoch:
            return [] if batch is None else [batch]
        if batch is not None:
            self._keep((partition, after, limit), batch)
        if batch is None or not batch.is_cut:
            self._note_end(partition, _End(after if batch is None else batch.position, appends, began))
        return [] if batch is None else [batch]

    def _note_end(self, partition: str, read: "_End") -> None:
        """Note the end that was read, or that of what this process has appended meanwhile, if that is
        later."""
        known = self._ends.get(partition)
        if known and read.appends != known.appends == self._store.appends(partition):
            last = known if known.id >= read.id else read
            read = _End(last.position, known.appends, read.began)
        self._ends[partition] = read

    def _keep_appended(self, partition: str, committed: Sequence[Committed], before: int) -> None:
        """Keep what was appended, if it follows what is still known to be the end.

        It is not kept if there was another notification of an append since, or if one of the same commands
        failed or was repeated, because something may be behind it, or if a key was destroyed. Whoever asks
        then, reads.
        """
        end = self._ends.get(partition)
        if end is None or end.appends != before or self._epoch != self._store.epoch:
            return
        if before + len(committed) != self._store.appends(partition):
            return
        unread = [each for each in committed if each.ids[0] > end.id]
        last = end.id
        for each in unread:
            if each.ids[0] != last + 1 or each.past.epoch != self._epoch:
                return
            last += len(each.stored)
            if each.ids[-1] != last:
                return
        events = tuple(chain.from_iterable(each.stored for each in unread))
        position = end.position
        if unread:
            position = unread[-1].position
            size = sum(each.size for each in unread)
            for limit in self._limits:
                if len(events) <= limit:
                    is_cut = is_full(len(events), size, limit)
                    batch = LogBatch(events, position, len(events), size, is_cut)
                    self._keep((partition, end.position, limit), batch)
        self._ends[partition] = _End(position, self._store.appends(partition), end.began)

    async def compare(self, positions: Mapping[str, str]) -> Compared:
        """Find the partitions whose given position is not of this log. A partition that was away a moment ago
        is not asked."""
        self._forget_what_is_past()
        if not self._not_seen_of_late(positions):
            return Compared()
        async with self._turn_to_look:
            asked = self._not_seen_of_late(positions)
            away = {each: error for each in asked if (error := self._backoff.why(each)) is not None}
            asked = {each: position for each, position in asked.items() if each not in away}
            if not asked:
                return Compared(untold=away)
            now, epoch = time.monotonic(), self._store.epoch
            compared = await self._store.compare(asked)
            seconds = time.monotonic() - now
            for partition, error in compared.untold.items():
                self._backoff.note(partition, error, seconds)
            if epoch == self._store.epoch:
                for partition in asked.keys() - compared.unknown - compared.untold.keys():
                    self._remember(partition, asked[partition], now)
            return Compared(compared.unknown, {**away, **compared.untold})

    async def count_after(self, partition: str, after: str | None) -> int:
        """Return about how many events follow a position."""
        return await self._store.count_after(partition, after)

    def subscribe(self, wants: Interest) -> Subscription:
        """Return a subscription that appends wake."""
        return self._store.subscribe(wants)

    def _not_seen_of_late(self, positions: Mapping[str, str]) -> Mapping[str, str]:
        now = time.monotonic()
        return {
            partition: position
            for partition, position in positions.items()
            if now - self._known.get((partition, position), 0.0) >= _KNOWN_SECONDS
        }

    def _remember(self, partition: str, position: str, now: float) -> None:
        """The oldest come first."""
        while self._known and now - next(iter(self._known.values())) >= _KNOWN_SECONDS:
            del self._known[next(iter(self._known))]
        self._known.pop((partition, position), None)
        self._known[partition, position] = now

    def _known_after(self, partition: str, after: str | None, limit: int) -> list[LogBatch]:
        known: list[LogBatch] = []
        passed = size = 0
        while not is_full(passed, size, limit) and (batch := self._batches.get((partition, after, limit))):
            known.append(batch)
            passed += batch.passed
            size += batch.size
            after = batch.position
        return known

    def _is_enough(self, partition: str, after: str | None, known: Sequence[LogBatch], limit: int) -> bool:
        return _is_full(known, limit) or self._is_known_to_be_empty(partition, _end(after, known))

    def _keep(self, key: _Key, batch: LogBatch) -> None:
        if former := self._batches.pop(key, None):
            self._kept -= former.weight
        self._batches[key] = batch
        self._kept += batch.weight
        while self._kept > _KEPT_EVENTS and len(self._batches) > 1:
            _, oldest = self._batches.popitem(last=False)
            self._kept -= oldest.weight

    def _forget_what_is_past(self) -> None:
        """Forget everything if a key was destroyed, or if the log is another one."""
        if self._epoch == self._store.epoch:
            return
        self._epoch = self._store.epoch
        self._batches.clear()
        self._kept = 0
        self._ends.clear()
        self._known.clear()

    def _is_known_to_be_empty(self, partition: str, after: str | None) -> bool:
        end = self._ends.get(partition)
        return (
            end is not None
            and end.position == after
            and end.appends == self._store.appends(partition)
            and time.monotonic() - end.began < self._trusted_seconds(partition, end)
        )

    def _trusted_seconds(self, partition: str, end: "_End") -> float:
        if end.id < self._store.newest.get(partition, 0):
            return min(_BEHIND_SECONDS, self._store.silent_seconds)
        return self._store.silent_seconds


class _End(msgspec.Struct, frozen=True):
    """Behind ``position`` there was nothing when a read began, nor is there as long as the store counts
    ``appends``."""

    position: str | None
    appends: int
    began: float

    @property
    def id(self) -> int:
        """The id of the last event before it."""
        return number_of(self.position)


def _passed(batches: Sequence[LogBatch]) -> int:
    return sum(batch.passed for batch in batches)


def _size(batches: Sequence[LogBatch]) -> int:
    return sum(batch.size for batch in batches)


def _is_full(batches: Sequence[LogBatch], limit: int) -> bool:
    return is_full(_passed(batches), _size(batches), limit)


def _end(after: str | None, batches: Sequence[LogBatch]) -> str | None:
    return batches[-1].position if batches else after


def _joined(batches: Sequence[LogBatch], limit: int) -> LogBatch | None:
    if len(batches) < 2:
        return batches[0] if batches else None
    events = tuple(chain.from_iterable(batch.events for batch in batches))
    is_cut = _is_full(batches, limit)
    return LogBatch(events, batches[-1].position, _passed(batches), _size(batches), is_cut)
