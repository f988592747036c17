"""Whatever reads the event log from its own position: a projection, a policy, the outbox.

A follower handles each event at least once, in the order of its partition or in each tenant's, and never
skips one: where its handler fails it tries again with a backoff, for ever, and says so in its status. A
partition that fails keeps no other back. The handler is safe to repeat, because a crash between the handling
and the saving of the position repeats a batch, or the batches of a second where nobody would notice.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import anyio
import structlog

from domain.errors import Failure, LeaseLost
from domain.event import PutOff, Recorded
from domain.lease import Lease
from projections.follower_status import FollowerStatus, State
from projections.in_order import InOrder
from projections.patience import Patience, Stopped
from projections.ports import Checkpoints, Handler, Log
from projections.reading import Reading, Settled
from projections.troubles import Troubles
from projections.turns import InTurns

REST_SECONDS = 0.003
"""Between two looks at the log, so that under load a few events come together: each look, and each write
that follows it, costs as much for one event as for ten."""

_SAVE_SECONDS = 1.0
"""How often a position is saved up to which something was handled, where it need not be after each batch."""

log = structlog.get_logger(__name__)


class _Round(NamedTuple):
    """What came of a look at the partitions: whether there was anything, and may be more at once."""

    is_handled: bool = False
    is_cut: bool = False


class Follower:
    """Feeds one handler from the log, under supervision, while it holds the lease of that name.

    ``in_turns`` gives it a few events of each tenant at a time, in place of the log's order. More comes again
    after a crash then, which nobody may notice. It rests for ``rest_seconds`` between two looks at the log.
    """

    def __init__(
        self,
        handler: Handler,
        log: Log,
        checkpoints: Checkpoints,
        *,
        now: Callable[[], datetime],
        poll_seconds: float = 1.0,
        batch_size: int = 500,
        in_turns: bool = False,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._handler = handler
        self._log = log
        self._reading: Reading = (InTurns if in_turns else InOrder)(log, handler.wants)
        self._checkpoints = checkpoints
        self._now = now
        self._poll_seconds = poll_seconds
        self._batch_size = batch_size
        self._rest_seconds = rest_seconds
        self._alarm = log.subscribe(handler.wants)
        self._patience = Patience(f"follower {handler.name}")
        self._state: State = "standby"
        self._error: str | None = None
        self._taken_over_under: Lease | None = None
        self._followed_under: Lease | None = None
        self._troubles = Troubles(handler.name)
        self._waiting_since: dict[str, datetime] = {}
        self._put_off: dict[str, str] = {}
        self._handled = 0
        self._failures = 0
        self._failing_since: float | None = None
        self._fails_to_handle = False
        self._positions: dict[str, str | None] = {}
        self._moved: anyio.Event | None = None
        self._unsaved: set[str] = set()
        self._handled_unsaved: set[str] = set()
        self._saved_at = 0.0
        self._all_saved_at = 0.0

    @property
    def name(self) -> str:
        """The handler's name, under which the positions are kept."""
        return self._handler.name

    @property
    def positions(self) -> Mapping[str, str | None]:
        """How far it has come in each partition."""
        return self._positions

    @property
    def is_following(self) -> bool:
        """Whether this instance follows the log, so that its positions are the present ones."""
        return self._state not in ("standby", "stopped")

    @property
    def status(self) -> FollowerStatus:
        """How it fares now."""
        now = self._now()
        lag = max(0.0, *((now - since).total_seconds() for since in self._waiting_since.values()), 0.0)
        put_off = next(iter(self._put_off.values()), None)
        state = "failing" if put_off and self.is_following else self._state
        return FollowerStatus(self.name, state, lag, self._handled, self._failures, self._error or put_off)

    @property
    def failing_seconds(self) -> float:
        """For how long no partition's batch has been handled, or none could be read: where some can be,
        another instance would do no better."""
        return 0.0 if self._failing_since is None else anyio.current_time() - self._failing_since

    async def take_over(self, lease: Lease) -> None:
        """Begin anew where the saved position is none of this log's.

        A restored backup, a log that was deleted or another store's address leave such positions. In a
        partition that cannot be asked that is found out as its turn comes; the others do not wait for it.

        Raises:
            LeaseLost: another instance follows it now, and may have begun anew itself.
        """
        await self._keep_what_was_handled()
        self._forget_positions()
        partitions = await self._log.partitions()
        saved = await self._checkpoints.load_all(self.name, partitions, lease)
        begun = {partition: position for partition, position in saved.items() if position is not None}
        compared = await self._log.compare(begun)
        if compared.unknown:
            await self._start_over(partitions, lease)
            return
        self._positions.update({each: saved[each] for each in saved if each not in compared.untold})
        self._taken_over_under = lease

    async def _start_over(self, partitions: Sequence[str], lease: Lease) -> None:
        log.warning("follower_starts_over", follower=self.name, why="its position is not of this log")
        lease.check()
        await self._handler.start_over()
        lease.check()
        await self._checkpoints.forget(self.name, partitions, lease)
        self._forget_positions()
        self._unsaved.clear()
        self._handled_unsaved.clear()

    def _forget_positions(self) -> None:
        self._positions.clear()
        self._reading.forget()

    async def run(self, lease: Lease) -> None:
        """Follow the log until :meth:`stop` or :meth:`leave`, finishing the batch in hand.

        Raises:
            LeaseLost: another instance follows it now.
        """
        self._patience.begin()
        self._state = "starting"
        if self._taken_over_under is not lease:
            self._forget_positions()
        self._taken_over_under = None
        self._followed_under = lease
        self._unsaved.clear()
        self._handled_unsaved.clear()
        self._troubles.clear()
        self._waiting_since.clear()
        self._put_off.clear()
        try:
            await self._follow(lease)
        finally:
            self._state = "stopped" if self._patience.is_over else "standby"
            self._error = None
            self._note_work()
            self._waiting_since.clear()
            self._put_off.clear()

    def look_again(self) -> None:
        """Look at the log now, whatever was appended: somebody waits for the position."""
        self._alarm.wake()

    async def has_moved(self) -> None:
        """Return when it has come further than it has now."""
        self._moved = self._moved or anyio.Event()
        await self._moved.wait()

    def stop(self) -> None:
        """Ask :meth:`run` to return after the batch in hand, for good."""
        self._patience.stop()
        self._alarm.wake()

    def leave(self) -> None:
        """The same, until it is run again."""
        self._patience.pause()
        self._alarm.wake()

    async def _follow(self, lease: Lease) -> None:
        """Look at the log when something is appended that it wants, and now and then.

        What wakes it during a round lets it look again, for the round may have missed it.
        """
        with suppress(Stopped):
            while not self._patience.is_stopped:
                self._alarm.reset()
                done = await self._patience.until_done(
                    lambda: self._get_on(lease),
                    may_pass=lambda error, _: not isinstance(error, LeaseLost),
                    on_failure=self._note_failure,
                )
                if not done.is_cut:
                    await anyio.sleep(self._rest_seconds)
                    await self._alarm.wait(self._troubles.seconds(self._poll_seconds))
        with suppress(Failure):
            await self._pass_over(lease)
        with suppress(Failure):
            await self.save_positions(lease)
        if self._patience.is_over:
            self._alarm.close()

    async def _pass_over(self, lease: Lease) -> None:
        """Come past a batch in which nothing is wanted, so that who is at rest does not seem to lag."""
        for partition, position in list(self._positions.items()):
            if partition in self._troubles:
                continue
            batch = await self._log.read(partition, position, self._batch_size)
            if batch is not None and not self._handler.wants.among(batch.events):
                self._handled += len(batch.events)
                await self._come_to(partition, batch.position, lease, has_handled=False)

    async def catch_up(self, lease: Lease) -> None:
        """Handle what the log holds now, in every partition, round by round.

        A partition that fails does not keep the others back; its failure comes through at the end.
        """
        failed: dict[str, Exception] = {}
        while (await self._take_turns(lease, set(failed), failed)).is_handled:
            pass
        for error in failed.values():
            raise error

    async def _get_on(self, lease: Lease) -> _Round:
        """A round of turns, besides the partitions that are not to be tried again yet."""
        failed: dict[str, Exception] = {}
        done = await self._take_turns(lease, self._troubles.waiting, failed)
        for partition, error in failed.items():
            self._troubles.note(partition, error)
            self._count_failure(error)
        return done

    async def _take_turns(
        self, lease: Lease, besides: Collection[str], failed: dict[str, Exception]
    ) -> _Round:
        """A batch of each partition in turn: whoever has much keeps nobody waiting but himself."""
        done, has_read = _Round(), False
        for partition in await self._log.partitions():
            if self._patience.is_stopped:
                return _Round()
            if partition in besides:
                continue
            try:
                turn = await self._take_turn(partition, lease)
                done = _Round(done.is_handled or turn.is_handled, done.is_cut or turn.is_cut)
                self._troubles.settle(partition)
                has_read = True
            except LeaseLost:
                raise
            except Exception as error:
                failed[partition] = error
        if not failed and self._troubles.error is None:
            self._error = None
            self._note_work()
            if self._state != "starting" or not done.is_cut:
                self._state = "running"
        elif has_read and not self._fails_to_handle:
            self._failing_since = None
        elif failed:
            self._note_no_work()
        return done

    async def _take_turn(self, partition: str, lease: Lease) -> _Round:
        """Handle the next batch of a partition, if there is any."""
        if partition not in self._positions:
            self._positions[partition] = await self._begun_at(partition, lease)
        batch = await self._reading.read(partition, self._positions[partition], self._batch_size)
        lease.check()
        if batch is not None:
            wanted = self._handler.wants.among(batch.events)
            put_off = await self._handle(partition, wanted, lease) if wanted else None
            settled = self._reading.settle(partition, put_off)
            self._handled += len(batch.events) - (len(put_off.events) if put_off else 0)
            self._failures += put_off is not None
            self._note_waiting(partition, settled)
            await self._come_to(partition, settled.position, lease, has_handled=bool(wanted))
        await self._save_what_is_due(lease)
        return _Round() if batch is None else _Round(is_handled=True, is_cut=batch.is_cut)

    async def _begun_at(self, partition: str, lease: Lease) -> str | None:
        """The saved position in a partition that was not compared with the log as it was taken over."""
        position = await self._checkpoints.load(self.name, partition, lease)
        compared = await self._log.compare({} if position is None else {partition: position})
        for error in compared.untold.values():
            raise error
        if compared.unknown:
            await self._start_over(await self._log.partitions(), lease)
            return None
        return position

    async def _handle(self, partition: str, wanted: Sequence[Recorded], lease: Lease) -> PutOff | None:
        since = min(each.timestamp for each in wanted)
        self._waiting_since[partition] = min(since, self._waiting_since.get(partition, since))
        lease.check()
        self._fails_to_handle = True
        put_off = await self._handler.handle(wanted, lease)
        self._note_work()
        return put_off

    def _note_waiting(self, partition: str, settled: Settled) -> None:
        if settled.waiting_since is None or settled.why is None:
            self._put_off.pop(partition, None)
            self._waiting_since.pop(partition, None)
        else:
            self._put_off[partition] = settled.why
            self._waiting_since[partition] = settled.waiting_since

    async def _come_to(
        self, partition: str, position: str | None, lease: Lease, *, has_handled: bool
    ) -> None:
        """Go on from there, and save that at once where a repeat would be noticed."""
        self._positions[partition] = position
        self._unsaved.add(partition)
        if self._moved is not None:
            self._moved.set()
            self._moved = None
        if not has_handled:
            return
        self._handled_unsaved.add(partition)
        if position is not None and not self._handler.may_repeat_unnoticed:
            await self._checkpoints.save(self.name, partition, position, lease)
            self._unsaved.discard(partition)
            self._handled_unsaved.discard(partition)

    async def _keep_what_was_handled(self) -> None:
        """Save how far something was handled under the lease before, where what was made of it outlives the
        log: it tells whether that has lost it. A store that has gone back with the log does not take it."""
        if self._followed_under is not None and self._handled_unsaved:
            with suppress(LeaseLost):
                await self._save(self._handled_unsaved, self._followed_under)
        self._handled_unsaved.clear()

    async def save_positions(self, lease: Lease) -> None:
        """Save what has not been saved; it would be read again after a start."""
        await self._save(self._unsaved, lease)
        self._all_saved_at = anyio.current_time()

    async def _save_what_is_due(self, lease: Lease) -> None:
        if not self._unsaved:
            return
        now = anyio.current_time()
        if now - self._all_saved_at > self._checkpoints.passed_seconds:
            await self.save_positions(lease)
        elif self._handled_unsaved and now - self._saved_at > _SAVE_SECONDS:
            await self._save(self._handled_unsaved, lease)

    async def _save(self, partitions: Collection[str], lease: Lease) -> None:
        positions = {partition: self._positions[partition] for partition in sorted(partitions)}
        moved = {partition: position for partition, position in positions.items() if position is not None}
        if moved:
            await self._checkpoints.save_all(self.name, moved, lease)
        self._unsaved -= positions.keys()
        self._handled_unsaved -= positions.keys()
        self._saved_at = anyio.current_time()

    def _note_failure(self, error: Exception) -> None:
        """It has no partition to get on in: the log itself is away."""
        if self._failing_since is None:
            log.error(
                "follower_failing",
                follower=self._handler.name,
                error=f"{type(error).__name__}: {error}",
                exc_info=None if isinstance(error, Failure) else error,
            )
        self._note_no_work()
        self._count_failure(error)

    def _note_work(self) -> None:
        self._failing_since = None
        self._fails_to_handle = False

    def _note_no_work(self) -> None:
        self._failing_since = self._failing_since or anyio.current_time()

    def _count_failure(self, error: Exception) -> None:
        self._failures += 1
        self._state = "failing"
        self._error = f"{type(error).__name__}: {error}"
