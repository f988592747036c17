"""Fires each job at the times of its schedule.

Keeps nothing: what has fired stands in the event log, and a firing is told by its job and nominal time. Who
may fire when there are several instances, and since when the clock has not been watched, is for the caller to
say: start and stop it as often as leadership comes and goes.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import structlog
from tenacity.wait import wait_base

from interfaces.scheduling.engine import NominalTimeExecutor, Schedule, ScheduleTrigger, WallClockScheduler
from interfaces.scheduling.pending_firings import BACKOFF, Fire, FiringFailure, PendingFirings

_LATE = timedelta(minutes=1)
"""The engine looks at the clock every half of that."""


class JobScheduler:
    """The jobs by their names, and the one thing to do when a nominal time has come."""

    def __init__(
        self, schedules: Mapping[str, Schedule], fire: Fire, *, backoff: wait_base = BACKOFF
    ) -> None:
        self._schedules = dict(schedules)
        self._fire = fire
        self._backoff = backoff
        self._scheduler: WallClockScheduler | None = None
        self._firings = PendingFirings(fire, backoff)
        self._jumped = asyncio.Event()
        self._log = structlog.get_logger(__name__)

    @property
    def running(self) -> bool:
        """Whether nominal times are being watched."""
        return self._scheduler is not None

    @property
    def last_error(self) -> FiringFailure | None:
        """The newest failed firing, until a later firing of the same job succeeds."""
        return self._firings.last_error

    def keeps_up(self, now: datetime) -> bool:
        """Whether nominal times are being watched, and none waits that came more than a minute ago."""
        if self._scheduler is None:
            return False
        failed = self.last_error
        ahead = [each.next_run_time for each in self._scheduler.get_jobs()]
        oldest = min([*ahead, *([failed.nominal_time] if failed else [])], default=now)
        return now - oldest <= _LATE

    async def jump(self) -> None:
        """Return once the clock has jumped since the start: nothing is fired any more, until it is started
        anew with what has passed."""
        await self._jumped.wait()

    async def start(
        self,
        since: Mapping[str, datetime] = MappingProxyType({}),
        overdue: Mapping[str, Sequence[datetime]] = MappingProxyType({}),
    ) -> None:
        """Watch the clock from the moment given for each job on, or from now; what is overdue is fired first.

        A second start is a `RuntimeError`: it would fire everything twice.
        """
        if self._scheduler is not None:
            raise RuntimeError("the scheduler is running already")
        self._firings = PendingFirings(self._fire, self._backoff)
        self._jumped.clear()
        for job, times in overdue.items():
            for nominal_at in times:
                self._firings.begin(job, nominal_at)
        self._scheduler = self._engine(self._firings, since)
        self._scheduler.start()
        self._log.info("scheduler_started", jobs=list(self._schedules))

    async def stop(self, timeout_seconds: float = 10.0) -> None:
        """Take no new firing and finish those in hand; after the timeout they are given up.

        Stopping what does not run is harmless.
        """
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is None:
            return
        scheduler.pause()
        await self._firings.finish(timeout_seconds)
        scheduler.shutdown(wait=False)
        await asyncio.sleep(0)  # APScheduler shuts down in the loop's next turn
        self._log.info("scheduler_stopped", given_up=len(self._firings))

    def _engine(self, firings: PendingFirings, since: Mapping[str, datetime]) -> WallClockScheduler:
        """No grace time, no coalescing and no limit of instances: each of them would drop a firing."""
        engine = WallClockScheduler(
            self._note_jump,
            timezone=UTC,
            executors={"default": NominalTimeExecutor(firings.begin)},
            job_defaults={"misfire_grace_time": None, "coalesce": False, "max_instances": sys.maxsize},
        )
        for job, schedule in self._schedules.items():
            engine.add_job(_never_called, ScheduleTrigger(schedule, since.get(job)), id=job, name=job)
        return engine

    def _note_jump(self, by: timedelta) -> None:
        self._log.warning("clock_jumped", seconds=round(by.total_seconds()))
        self._jumped.set()


def _never_called() -> None:
    """APScheduler wants a function; the executor hands on the job's name and nominal time instead."""
    raise AssertionError("a job was run past the executor")
