"""APScheduler, held to what we want of it: it tells us that a nominal time has come, and nothing else.

Four of its parts are replaced. The trigger, because its cron is not Unix cron. The executor, because the
stock one calls a job without saying for which time it is due, drops what is late and counts running
instances. The timer, because one long sleep on the monotonic clock would come late after the wall clock is
set forward or the machine wakes from suspension. And the look at what is due, which is not taken where the
clock has jumped since the last: what lies between, nobody has watched, or it comes again.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

LONGEST_SLEEP_SECONDS = 30.0

_MOST_AT_ONCE = timedelta(minutes=1)
"""So far the wall clock may be set forward or back, or the process be held up, as if nothing was: a firing
that is less late was not missed."""


class Schedule(Protocol):
    """When a job is due; `UnixCron`, and in tests whatever fires sooner."""

    def next_after(self, moment: datetime) -> datetime: ...

    def upcoming(self, moment: datetime, count: int) -> tuple[datetime, ...]: ...


class ScheduleTrigger(BaseTrigger):  # type: ignore[misc]
    """A schedule as APScheduler asks it: from the firing before; for the first from ``since``, or now."""

    __slots__ = ("_schedule", "_since")

    def __init__(self, schedule: Schedule, since: datetime | None = None) -> None:
        self._schedule = schedule
        self._since = since

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Of each time that has passed meanwhile, so that none is skipped over."""
        return self._schedule.next_after(previous_fire_time or self._since or now)

    def __str__(self) -> str:
        return repr(self._schedule)


class NominalTimeExecutor(AsyncIOExecutor):  # type: ignore[misc]
    """Passes on each nominal time that has come, with its job, and is done with it."""

    def __init__(self, begin: Callable[[str, datetime], None]) -> None:
        super().__init__()
        self._begin = begin

    def _do_submit_job(self, job: Any, run_times: Sequence[datetime]) -> None:
        for nominal_time in run_times:
            self._begin(job.id, nominal_time)
        self._eventloop.call_soon(self._run_job_success, job.id, ())


class WallClockScheduler(AsyncIOScheduler):  # type: ignore[misc]
    """Looks at the wall clock at least every `LONGEST_SLEEP_SECONDS`.

    Where that has jumped it tells how far, and does nothing any more.
    """

    def __init__(self, on_jump: Callable[[timedelta], None], **options: Any) -> None:
        super().__init__(**options)
        self._on_jump = on_jump
        self._looked_at: datetime | None = None
        self._has_jumped = False

    def _process_jobs(self) -> float | None:
        now = datetime.now(UTC)
        passed = timedelta() if self._looked_at is None else now - self._looked_at
        self._looked_at = now
        if not -_MOST_AT_ONCE <= passed <= _MOST_AT_ONCE + timedelta(seconds=LONGEST_SLEEP_SECONDS):
            self._has_jumped = True
            self._on_jump(passed)
        if self._has_jumped:
            return None
        seconds: float | None = super()._process_jobs()
        return seconds

    def _start_timer(self, wait_seconds: float | None) -> None:
        super()._start_timer(None if wait_seconds is None else min(wait_seconds, LONGEST_SLEEP_SECONDS))
