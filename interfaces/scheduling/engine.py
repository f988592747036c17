"""APScheduler, held to what we want of it: it tells us that a nominal time has come, and nothing else.

Three of its parts are replaced. The trigger, because its cron is not Unix cron. The executor, because the
stock one calls a job without saying for which time it is due, drops what is late and counts running
instances. The timer, because one long sleep on the monotonic clock would come late after the wall clock is
set forward or the machine wakes from suspension.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

LONGEST_SLEEP_SECONDS = 30.0


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
    """Looks at the wall clock at least every `LONGEST_SLEEP_SECONDS`."""

    def _start_timer(self, wait_seconds: float | None) -> None:
        super()._start_timer(None if wait_seconds is None else min(wait_seconds, LONGEST_SLEEP_SECONDS))
