"""APScheduler, limited to what we want of it: it reports that a nominal time has come, and does nothing else.

Four of its parts are replaced: the trigger, because its cron is not Unix cron; the executor, because the
stock one calls a job without saying for which time it is due, drops late calls and counts running instances;
the timer, because one long sleep on the monotonic clock would end late if the wall clock is set forward or
the machine wakes from suspension; and the check of what is due, which is skipped if the clock has jumped
since the last one: nobody has watched what lies between, or it comes again.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

LONGEST_SLEEP_SECONDS = 30.0

_MOST_AT_ONCE = timedelta(minutes=1)
"""The wall clock may be set forward or back, or the process be held up, by so much without consequence: a
firing that is less late was not missed."""


class Schedule(Protocol):
    """When a job is due: `UnixCron`, and in tests whatever fires sooner."""

    def next_after(self, moment: datetime) -> datetime: ...

    def upcoming(self, moment: datetime, count: int) -> tuple[datetime, ...]: ...


class ScheduleTrigger(BaseTrigger):  # type: ignore[misc]
    """A schedule in APScheduler's form: it continues from the last firing; for the first, from ``since``, or
    from now."""

    __slots__ = ("_schedule", "_since")

    def __init__(self, schedule: Schedule, since: datetime | None = None) -> None:
        self._schedule = schedule
        self._since = since

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return each time that has passed meanwhile, so that none is skipped."""
        return self._schedule.next_after(previous_fire_time or self._since or now)

    def __str__(self) -> str:
        return repr(self._schedule)


class NominalTimeExecutor(AsyncIOExecutor):  # type: ignore[misc]
    """Passes on each nominal time that has come, with its job."""

    def __init__(self, begin: Callable[[str, datetime], None]) -> None:
        super().__init__()
        self._begin = begin

    def _do_submit_job(self, job: Any, run_times: Sequence[datetime]) -> None:
        for nominal_time in run_times:
            self._begin(job.id, nominal_time)
        self._eventloop.call_soon(self._run_job_success, job.id, ())


class WallClockScheduler(AsyncIOScheduler):  # type: ignore[misc]
    """Checks the wall clock at least every `LONGEST_SLEEP_SECONDS`.

    If that has jumped, it reports by how much, and does nothing any more.
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
