"""Due timers become commands.

A timer is forgotten after its command, also where that changed nothing or was refused. So a command may do so
only where nothing waits for the timer, and never will again: then it does no harm that the look at the log is
older than what is being appended just now. Where something may wait for it yet, the command appends that the
time has come. See ADR 41.

It does harm that a look is older than the event with which the timer began: who does not know of an attempt
takes it for over. Where a log has replicas, one may lag so.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic

import msgspec
import structlog

from application.command import Command
from application.dispatcher import Dispatcher
from application.ports import Clock, Settled, Timer, Timers
from application.side_by_side import outcomes_of, raise_first
from application.store_clock import seconds_passed
from domain.errors import DirectoryUnavailable, Failure, NotFound, Refusal, StoreUnavailable
from domain.lease import Lease

_BATCH = 50
_MASSES = 4
"""Of so many tenants each may have more due than a look takes; who comes behind more of them waits."""

_REST_FOR_A_SECOND = 10.0
"""To look past a tenant's timers takes the longer the more there are: a tenth of the time at most."""
_POSTPONED = timedelta(minutes=1)
"""How much later a timer comes again whose command broke."""

_AWAY = timedelta(seconds=15)
"""The same where the tenant's log alone is away: each try may take seconds, and holds up other commands."""

_SET = timedelta(minutes=1)
"""By so much a clock may be put right without a word."""

Held = Callable[[Timer], Awaitable[Timer | None]]
"""Tells the timer that takes the place of one that is not to be fired yet."""

CatchUp = Callable[[str], Awaitable[None]]
"""Has each later look find all that was committed of a tenant until now."""

log = structlog.get_logger(__name__)


class DueTimers:
    """Gives the commands of the timers that are due, side by side, then forgets the timers. One tenant's many
    keep no other tenant's waiting.

    A crash in between gives the command twice; the aggregate takes it once. A timer whose command breaks
    comes again later, so that it does not keep the others waiting, and so does one that is to be repeated, or
    that is ``held``. ``tenants_fail_apart`` where each has a log of its own: then so does one whose tenant's
    log is away. Where a look at the log may lag behind, it can ``catch_up``.
    """

    def __init__(
        self,
        timers: Timers,
        clock: Clock,
        dispatch: Dispatcher,
        commands: Mapping[str, Callable[[Timer], Command]],
        held: Held | None = None,
        *,
        catch_up: CatchUp | None = None,
        tenants_fail_apart: bool = False,
        count_set_back: Callable[[], None] = lambda: None,
    ) -> None:
        self._timers = timers
        self._clock = clock
        self._dispatch = dispatch
        self._commands = commands
        self._held = held
        self._catch_up = catch_up
        self._tenants_fail_apart = tenants_fail_apart
        self._count_set_back = count_set_back
        self._ahead: timedelta | None = None
        self._rests_until = 0.0

    async def fire(self, lease: Lease) -> int:
        """Fire what is due now and return how many there were.

        Raises:
            StoreUnavailable: the rest stays due.
            LeaseLost: the rest is for another instance.
        """
        self._tell_of_a_clock_that_was_set()
        fired = 0
        while due := await self._due():
            outcomes = await outcomes_of(lambda timer: self._fire(timer, lease), due)
            handled = [
                Settled(timer, outcome)
                for timer, outcome in zip(due, outcomes, strict=True)
                if not isinstance(outcome, Exception)
            ]
            if handled:
                await self._timers.settle(handled, lease)
                fired += sum(each.again is None for each in handled)
            raise_first(outcomes)
        return fired

    async def _due(self) -> Sequence[Timer]:
        """The oldest that are due; where a look does not take them all, also the oldest of other tenants."""
        now = self._clock.now()
        found = await self._timers.due(now, _BATCH)
        due = {timer.id: timer for timer in found}
        began = monotonic()
        if len(found) == _BATCH and began >= self._rests_until:
            for _ in range(_MASSES):
                tenants = {timer.meta.tenant for timer in due.values()}
                found = await self._timers.due(now, _BATCH, besides=tenants)
                due |= {timer.id: timer for timer in found}
                if len(found) < _BATCH:
                    break
            ended = monotonic()
            self._rests_until = ended + (ended - began) * _REST_FOR_A_SECOND
        return list(due.values())

    def _tell_of_a_clock_that_was_set(self) -> None:
        """What comes due by that comes in bulk, or not for long. What began while it was ahead keeps its
        moment (ADR 5), so that somebody has to look. A suspended machine is no case of it.
        """
        ahead = self._clock.now() - datetime.fromtimestamp(seconds_passed(), UTC)
        if self._ahead is not None and abs(by := ahead - self._ahead) > _SET:
            seconds = round(by.total_seconds())
            if seconds < 0:
                self._count_set_back()
                log.error("clock_set", seconds=seconds, what="what began before comes due that much late")
            else:
                log.warning("clock_set", seconds=seconds, what="timers go by it")
        self._ahead = ahead

    async def _fire(self, timer: Timer, lease: Lease) -> Timer | None:
        """Give a timer's command; the timer in its place, if there is to be one."""
        lease.check()
        try:
            return await self._give(timer, self._catch_up)
        except Refusal as refusal:
            log.warning("timer_refused", timer=timer.id, kind=timer.kind, reason=refusal.in_a_line)
            return None
        except DirectoryUnavailable as error:
            return self._postponed(timer, _POSTPONED, error)
        except StoreUnavailable as error:
            if not self._tenants_fail_apart:
                raise
            return self._postponed(timer, _AWAY, error)
        except Failure:
            raise
        except Exception:
            log.exception("timer_broke", timer=timer.id, kind=timer.kind)
            return self._later(timer, _POSTPONED)

    async def _give(self, timer: Timer, catch_up: CatchUp | None) -> Timer | None:
        """Give a timer's command, and once more where that came of a look older than the timer. If that is so
        again, the log is another than the one that the timer is of.
        """
        if self._held is not None and (again := await self._held(timer)) is not None:
            return again
        try:
            known = (await self._dispatch(self._commands[timer.kind](timer))).past.version
        except NotFound:
            if catch_up is None or not timer.version:
                raise
            known = 0
        if catch_up is not None and known < timer.version:
            await catch_up(timer.meta.tenant)
            return await self._give(timer, None)
        if timer.every_seconds is None:
            return None
        return self._later(timer, timedelta(seconds=timer.every_seconds))

    def _postponed(self, timer: Timer, pause: timedelta, error: Failure) -> Timer:
        log.warning("timer_postponed", timer=timer.id, kind=timer.kind, reason=str(error))
        return self._later(timer, pause)

    def _later(self, timer: Timer, pause: timedelta) -> Timer:
        return msgspec.structs.replace(timer, due_at=self._clock.now() + pause)
