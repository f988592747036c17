"""The event log as the rest of the service uses it: commands, reads, and waking followers.

The library is synchronous, so each use of it runs on a worker thread. Commands that come at the same time
share one: see :mod:`application.deciders`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from time import monotonic
from typing import TypeVar

import structlog
from eventsourcing.persistence import StoredEvent

from application.deciders import Committed, Decider, decide_together
from application.event_log import (
    Compared,
    EventLog,
    Fill,
    number_of,
    place_of,
)
from application.log_batches import LogBatch, is_full_of, size_of
from application.log_copy import Entry
from application.pasts import Pasts
from application.snapshots import Snapshots, SnapshotStore
from application.streams import (
    MOST_WAITING,
    PATIENCE_SECONDS,
    TURN_SECONDS,
    Streams,
    asking_threads,
    translating,
)
from application.subscription import Subscription
from application.workers import Workers
from domain.event import Event, Metadata, Recorded
from domain.interest import EVERYTHING, Interest
from domain.values import SYSTEM_TENANT

S = TypeVar("S")
R = TypeVar("R")

OTHER_THREADS = 3
"""One for the readers of the log, which must not wait behind commands, one for reads of single streams, and
one for the ping."""

_MOST_REMEMBERED = 10_000
_CLOSING_SECONDS = 2.0

_DECIDING_SECONDS = 0.1
"""For how long commands are decided together. Then they are appended, and other tenants have their turn."""

log = structlog.get_logger(__name__)


class EventStore(Streams):
    """The log, used from one event loop.

    ``threads`` is how many batches of commands may run at once, ``at_once`` how many commands one batch may
    have. The store's pool of connections holds ``OTHER_THREADS`` more.
    """

    def __init__(
        self, log: EventLog, *, threads: int = 1, at_once: int = 100, snapshots: SnapshotStore | None = None
    ) -> None:
        self._snapshots = None if snapshots is None else Snapshots(snapshots, log)
        super().__init__(log, Pasts(log, most=_MOST_REMEMBERED, snapshots=self._snapshots))
        self._commanding = Workers(
            partial(decide_together, log, self._pasts, seconds=_DECIDING_SECONDS),
            size=threads,
            at_once=at_once,
            most_waiting=MOST_WAITING,
            turn_seconds=TURN_SECONDS,
            patience_seconds=PATIENCE_SECONDS,
            on_answers=self._note_answers,
            line_of=_tenant_of,
        )
        self._reading = asking_threads(log.ours.reads_at_once, MOST_WAITING)
        self._pinging = asking_threads(1, 0)
        self._subscriptions: set[Subscription] = set()
        self._tell_of_appends: list[Callable[[str, Sequence[Committed], int], None]] = []
        self.newest: dict[str, int] = {}
        """The id of the last known event in each partition, whichever process has appended it."""
        self._switches = log.ours.switches
        self.appended: dict[str, int] = {}
        """The id of this process's own last append to each partition."""
        self._appends: Counter[str] = Counter()
        self._wakes = 0
        self.silent_seconds = log.ours.silent_seconds
        """How long a partition counts as unchanged while :meth:`appends` says so."""

    async def execute(
        self,
        stream: str,
        *,
        evolve: Callable[[S | None, Event], S],
        decide: Callable[[S | None], Sequence[Event]],
        meta: Metadata,
        now: datetime,
        expected_version: int | None = None,
        keeps_correlation: bool = False,
    ) -> Committed:
        """Load a stream, decide, append. The answer has the stream as it then is.

        If the stream already holds the command's id, the command has been handled: nothing is decided again,
        and the answer is the same as then. If another writer appends in between, the stream is loaded and
        decided again. With ``keeps_correlation`` the command, which names no correlation, takes that of the
        stream's first event.

        Raises:
            Refusal: ``decide`` refused, ``expected_version`` is not the present one, or something else was
                asked under the same id.
            StoreUnavailable: the store is away; nothing is known to be appended.
        """
        decider = Decider(stream, evolve, decide, meta, now, expected_version, keeps_correlation)
        return await self._commanding(decider)

    async def catch_up(self, tenant: str) -> None:
        """Make each later read find everything that was committed for a tenant until now.

        Raises:
            StoreUnavailable: this cannot be ensured now.
        """
        await self._look(lambda: self._log.ours.catch_up(self.partition_of(tenant)))

    async def partitions(self) -> Sequence[str]:
        """Return the known partitions of the log, each with an order of its own."""
        return self._log.ours.partitions()

    def partition_of(self, tenant: str) -> str:
        """Return the partition that holds a tenant's events."""
        return self._log.ours.partition_of(f"{tenant}/")

    def fullest(self) -> Fill | None:
        """Return the fullest partition of the log as it was last read, or None if partitions have no
        limit."""
        return self._log.ours.fullest()

    def appends(self, partition: str) -> int:
        """Return how often there may have been an append. A reader knows by it whether to read again."""
        return self._appends[partition] + self._wakes

    async def read(self, partition: str, after: str | None, limit: int) -> LogBatch | None:
        """Return the next events of a partition after a position, up to a full batch, or None if there are
        none."""
        return await self.read_part(partition, after, limit)

    async def read_part(
        self,
        partition: str,
        after: str | None,
        limit: int,
        until: int | None = None,
        wants: Callable[[str, str], bool] | None = None,
    ) -> LogBatch | None:
        """Of the next events, up to the one with the id ``until``, return those that are wanted by their
        stream and topic. Decoding an event takes four times as long as reading it."""

        def select() -> LogBatch | None:
            self._log.look_for_erasures()
            found = self._log.ours.select_after(partition, number_of(after), limit)
            is_cut = is_full_of(found, limit)
            if until is not None:
                found = [each for each in found if each.id <= until]
            if not found:
                return None
            wanted = (
                found
                if wants is None
                else [each for each in found if wants(str(each.originator_id), each.topic)]
            )
            events, position = self._log.all_recorded(wanted), place_of(found[-1]).position
            return LogBatch(events, position, len(found), size_of(wanted), is_cut)

        return await self._read(select)

    async def count_after(self, partition: str, after: str | None) -> int:
        """Return about how many events follow a position: for progress bars, not for decisions."""
        newest = await self._read(lambda: self._log.ours.newest(partition))
        return max(0, (newest.id if newest else 0) - number_of(after))

    async def knows(self, partition: str, position: str) -> bool:
        """Return whether a position is one of this log, and not of another log or of a later state of this
        one."""
        compared = await self.compare({partition: position})
        for error in compared.untold.values():
            raise error
        return not compared.unknown

    async def compare(self, positions: Mapping[str, str]) -> Compared:
        """Find the partitions whose given position is not of this log, by one query."""
        return await self._read(lambda: self._log.compare(positions))

    async def head(self, partition: str) -> str:
        """Return the position after the last event of a partition."""
        return await self._read(lambda: self._log.head(partition))

    @property
    def too_new(self) -> str | None:
        """What was found in the log that this release cannot read, if anything."""
        return self._log.too_new

    async def ping(self) -> None:
        """Query the store, without waiting behind commands that also wait for it.

        Raises:
            StoreUnavailable: it did not answer.
        """
        await self._pinging(translating(lambda: self._log.head(self.partition_of(SYSTEM_TENANT))))

    def subscribe(self, wants: Interest = EVERYTHING) -> Subscription:
        """Return a subscription that is woken when this process appends, and when :meth:`notice` reports
        another's append."""
        return Subscription(self._subscriptions, wants)

    def tell_of_appends(self, tell: Callable[[str, Sequence[Committed], int], None]) -> None:
        """Call ``tell`` after each append, before anybody is woken, with the partition, the outcomes ordered
        by id, and what :meth:`appends` said before. Threads answer concurrently, so a later commit may be
        reported first."""
        self._tell_of_appends.append(tell)

    def notice(self, newest: int | None, partition: str | None = None) -> None:
        """Wake those who wait for another process's append. ``newest`` is the id of its last event in the
        partition, if known. If there is only one partition, it need not be named.

        An id below that of an append of ours is no news: ids and commits have the same order, so whoever was
        woken by ours could read it. Call this on the event loop.
        """
        self._forget_ids_of_another_log()
        partition = partition or self.partition_of(SYSTEM_TENANT)
        if newest is None:
            self._wake()
        elif newest > self.newest.get(partition, 0):
            self.newest[partition] = newest
            self._appends[partition] += 1
            for subscription in self._subscriptions:
                subscription.wake()

    def recorded(self, entry: Entry) -> Recorded:
        """Return a stored event as it was recorded, in the payload's present schema version.

        Raises:
            LookupError, msgspec.MsgspecError: this release cannot read it.
        """
        return self._log.recorded(StoredEvent(entry.stream, entry.version, entry.topic, entry.state))

    def recorded_with_keys(self, entry: Entry) -> tuple[Recorded, list[bytes | None]]:
        """Return the same, and the keys of the values that are sealed in it."""
        stored = StoredEvent(entry.stream, entry.version, entry.topic, entry.state)
        return self._log.recorded_with_keys(stored)

    @property
    def epoch(self) -> int:
        """Whoever remembers the content of events must forget it when this changes."""
        return self._log.epoch

    @property
    def switches(self) -> int:
        """How often the log was found to be another log, or an earlier state of itself. Whoever remembers a
        position in it, or has a lease that lies beside it, must begin again then."""
        return self._log.ours.switches

    def close(self) -> None:
        """Close all connections once nobody uses them: a driver whose connection is closed during use crashes
        the process. If the store does not answer, they stay open until the process ends."""
        until = monotonic() + _CLOSING_SECONDS
        have_ended = [
            threads.close(patience_seconds=max(0.0, until - monotonic()))
            for threads in (self._commanding, self._looking, self._reading, self._pinging)
        ]
        if all(have_ended):
            if self._snapshots is not None:
                self._snapshots.close()
            self._log.close()
        else:
            log.warning("event_store_left_open", why="it gave no answer")

    def _note_answers(self, commands: Sequence[Decider], answers: Sequence[Committed | Exception]) -> None:
        """Wake those who want the new events, once for all of them. Everybody is woken if nothing seems to be
        new, because the answer to a commit may have been lost, and if ids are missing, because another
        process has them."""
        self._forget_ids_of_another_log()
        appended: dict[str, list[Committed]] = {}
        before: dict[str, int] = {}
        is_known = True
        for command, answer in zip(commands, answers, strict=True):
            partition = self._log.ours.partition_of(command.stream)
            before.setdefault(partition, self.appends(partition))
            self._appends[partition] += 1
            if isinstance(answer, Committed) and answer.ids:
                appended.setdefault(partition, []).append(answer)
            else:
                is_known = False
        new: list[Event] = []
        for partition, committed in appended.items():
            committed.sort(key=lambda each: each.ids[0])
            newest = self.newest.get(partition, 0)
            for each in committed:
                is_known = is_known and each.ids[0] <= newest + 1
                newest = max(newest, each.ids[-1])
                new += [recorded.event for recorded in each.new]
            self.newest[partition] = newest
            self.appended[partition] = max(self.appended.get(partition, 0), committed[-1].ids[-1])
            for tell in self._tell_of_appends:
                tell(partition, committed, before[partition])
        for subscription in self._subscriptions:
            if is_known:
                subscription.wake_for(new)
            else:
                subscription.wake()

    def _forget_ids_of_another_log(self) -> None:
        """Forget the known ids, because another log gives the same ids again, which would then seem to be no
        news."""
        if self._switches != self.switches:
            self._switches = self.switches
            self.newest.clear()

    def _wake(self) -> None:
        self._wakes += 1
        for subscription in self._subscriptions:
            subscription.wake()

    async def _read(self, work: Callable[[], R]) -> R:
        found: R = await self._reading(translating(work))
        return found


def _tenant_of(command: Decider) -> str:
    return command.meta.tenant
