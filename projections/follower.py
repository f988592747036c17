"""Followers read the event log, each from its own position: the projections, the policies, the outbox.

A follower handles each event at least once, in the order of its partition or of each tenant, and skips none.
If its handler fails, it retries with a backoff, for ever, and its status says so. A failed partition holds up
no other. A crash between handling a batch and saving the position repeats that batch, or the batches of a
second if nobody would notice: so repeating the handler must be safe.
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
"""The pause between two reads of the log, so that under load several events come together: each read, and
each write that follows, costs as much for one event as for ten."""

_SAVE_SECONDS = 1.0
"""How often the position is saved if it need not be saved after each batch."""

log = structlog.get_logger(__name__)


class _Round(NamedTuple):
    """The result of reading the partitions: whether there was anything, and whether there may be more now."""

    is_handled: bool = False
    is_cut: bool = False


class Follower:
    """Feeds one handler from the log, under supervision, while it holds the lease of that name.

    ``in_turns``: a few events of each tenant at a time, not the log's order. More comes again after a crash
    then, so nobody may notice repeats. ``rest_seconds`` is the pause between two reads of the log.
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
        """The handler's name, under which the positions are stored."""
        return self._handler.name

    @property
    def positions(self) -> Mapping[str, str | None]:
        """How far it has come in each partition."""
        return self._positions

    @property
    def is_following(self) -> bool:
        """Whether this instance follows the log, so that its positions are current."""
        return self._state not in ("standby", "stopped")

    @property
    def status(self) -> FollowerStatus:
        """Its present status."""
        now = self._now()
        lag = max(0.0, *((now - since).total_seconds() for since in self._waiting_since.values()), 0.0)
        put_off = next(iter(self._put_off.values()), None)
        state = "failing" if put_off and self.is_following else self._state
        return FollowerStatus(self.name, state, lag, self._handled, self._failures, self._error or put_off)

    @property
    def failing_seconds(self) -> float:
        """How long no partition's batch has been handled, or none could be read. If some work, another
        instance would do no better."""
        return 0.0 if self._failing_since is None else anyio.current_time() - self._failing_since

    async def take_over(self, lease: Lease) -> None:
        """Begin again in partitions whose saved position is not of this log.

        A restored backup, a deleted log or the address of another store leave such positions. A partition
        that cannot be read now is checked when its turn comes; the others do not wait for it.

        Raises:
            LeaseLost: another instance follows the log now, and may have begun again itself.
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
        """Follow the log until :meth:`stop` or :meth:`leave`, and finish the current batch.

        Raises:
            LeaseLost: another instance follows the log now.
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
        """Read the log now, whatever was appended, because somebody waits for the position."""
        self._alarm.wake()

    async def has_moved(self) -> None:
        """Return when the position has moved."""
        self._moved = self._moved or anyio.Event()
        await self._moved.wait()

    def stop(self) -> None:
        """Ask :meth:`run` to return after the current batch, for good."""
        self._patience.stop()
        self._alarm.wake()

    def leave(self) -> None:
        """Ask :meth:`run` to return after the current batch. It may be run again."""
        self._patience.pause()
        self._alarm.wake()

    async def _follow(self, lease: Lease) -> None:
        """Read the log when a wanted event is appended, and now and then.

        If something wakes it during a round it reads again, because the round may have missed that.
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
        """Move past a batch in which nothing is wanted, so that an idle follower does not seem to lag."""
        for partition, position in list(self._positions.items()):
            if partition in self._troubles:
                continue
            batch = await self._log.read(partition, position, self._batch_size)
            if batch is not None and not self._handler.wants.among(batch.events):
                self._handled += len(batch.events)
                await self._come_to(partition, batch.position, lease, has_handled=False)

    async def catch_up(self, lease: Lease) -> None:
        """Handle what the log holds now, in every partition, round by round.

        A partition that fails does not hold up the others. Its failure is raised at the end.
        """
        failed: dict[str, Exception] = {}
        while (await self._take_turns(lease, set(failed), failed)).is_handled:
            pass
        for error in failed.values():
            raise error

    async def _get_on(self, lease: Lease) -> _Round:
        """Do a round of turns, without the partitions that must not be retried yet."""
        failed: dict[str, Exception] = {}
        done = await self._take_turns(lease, self._troubles.waiting, failed)
        for partition, error in failed.items():
            self._troubles.note(partition, error)
            self._count_failure(error)
        return done

    async def _take_turns(
        self, lease: Lease, besides: Collection[str], failed: dict[str, Exception]
    ) -> _Round:
        """Handle one batch of each partition in turn: one with many events delays only itself."""
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
        """Handle the next batch of a partition, if there is one."""
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
        """Return the saved position of a partition that was not compared with the log at the take-over."""
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
        """Continue from there, and save that at once if a repeat would be noticed."""
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
        """Save how far something was handled under the former lease, if its results outlive the log: this
        shows whether the log has lost it. A store that went back with the log refuses it."""
        if self._followed_under is not None and self._handled_unsaved:
            with suppress(LeaseLost):
                await self._save(self._handled_unsaved, self._followed_under)
        self._handled_unsaved.clear()

    async def save_positions(self, lease: Lease) -> None:
        """Save unsaved positions. Otherwise a start would read those events again."""
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
        """Note a failure of the log itself, which concerns every partition."""
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
