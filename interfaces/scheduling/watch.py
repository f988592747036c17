"""Cron as a part of the service that one instance at a time does."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import anyio
import anyio.to_thread
import structlog

from application.jobs import Jobs
from application.ports import Clock
from domain.errors import LeaseLost
from domain.lease import Lease
from interfaces.scheduling.catch_up import CaughtUp, caught_up
from interfaces.scheduling.cron import UnixCron
from interfaces.scheduling.heartbeat import Heartbeat
from interfaces.scheduling.marks import Marks
from interfaces.scheduling.pending_firings import Fire
from interfaces.scheduling.scheduler import JobScheduler

NAME = "scheduler"

DRAIN_SECONDS = 2.0
"""How long a stop, or the loss of the lease, waits for pending firings. The rest is made up for."""

_AHEAD = timedelta(minutes=1)
"""A firing's time may be ahead by so much without notice, because the clocks of instances differ."""

log = structlog.get_logger(__name__)

Miss = Callable[[str, Sequence[datetime]], Awaitable[object]]
"""Notes that a job's nominal times were missed. Repeating it is safe."""


class CronWatch:
    """Watches the clock while it holds the lease, from where it was last watched.

    First it decides about what has passed meanwhile: some is fired late, in its order, and the rest is noted
    as missed.
    """

    name = NAME
    failing_seconds = 0.0
    """Always 0: it depends only on the event store, as the leases do."""

    def __init__(
        self,
        jobs: Jobs,
        schedules: Mapping[str, UnixCron],
        fire: Fire,
        miss: Miss,
        marks: Marks,
        clock: Clock,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        self.scheduler = JobScheduler(schedules, self._fire)
        self._jobs = jobs
        self._schedules = schedules
        self._open_run = fire
        self._miss = miss
        self._marks = marks
        self._clock = clock
        self._heartbeat = heartbeat
        self._stopping = anyio.Event()
        self._lease: Lease | None = None

    async def take_over(self, lease: Lease) -> None:
        """Do nothing: what is to be made up for is known when it runs."""

    async def run(self, lease: Lease) -> None:
        """Watch the clock until :meth:`stop`. If it has jumped, decide about what lies between as after a
        time in which nobody watched it.

        Raises:
            LeaseLost: another instance watches it.
        """
        self._lease = lease
        while not self._stopping.is_set():
            await self._watch(lease)

    async def _watch(self, lease: Lease) -> None:
        """Watch the clock until :meth:`stop`, or until it jumps."""
        now = self._clock.now()
        lease.check()
        since = await self._marks.since(now, lease)
        if (latest := max(since.values(), default=now)) > now + _AHEAD:
            log.warning("clock_was_set_back", watched_until=latest.isoformat(), now=now.isoformat())
        passed = await self.passed(since, now)
        for job, times in passed.items():
            if times.missed:
                await self._miss(job, times.missed)
            if not times.fired:
                await self._marks.move(job, now, lease)
        await self.scheduler.start(
            dict.fromkeys(passed, now), {job: times.fired for job, times in passed.items()}
        )
        try:
            async with anyio.create_task_group() as tasks:
                if self._heartbeat is not None:
                    tasks.start_soon(self._heartbeat.run, self._is_well, name="heartbeat")
                tasks.start_soon(self._until_a_jump, tasks.cancel_scope)
                await self._stopping.wait()
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self.scheduler.stop(DRAIN_SECONDS)

    async def passed(self, since: Mapping[str, datetime], now: datetime) -> Mapping[str, CaughtUp]:
        """Return what becomes of the times of each job that have passed since a time."""

        def look() -> Mapping[str, CaughtUp]:
            return {
                job: caught_up(self._jobs.find(job), self._schedules[job], moment, now=now)
                for job, moment in since.items()
            }

        return await anyio.to_thread.run_sync(look)

    async def _until_a_jump(self, watching: anyio.CancelScope) -> None:
        await self.scheduler.jump()
        watching.cancel()

    def stop(self) -> None:
        """Ask :meth:`run` to return."""
        self._stopping.set()

    def _is_well(self) -> bool:
        """Return whether only this instance watches the clock, and its firings are being stored."""
        assert self._lease is not None
        try:
            self._lease.check()
        except LeaseLost:
            return False
        return self.scheduler.keeps_up(self._clock.now())

    async def _fire(self, job: str, nominal_at: datetime) -> None:
        assert self._lease is not None
        self._lease.check()
        await self._open_run(job, nominal_at)
        await self._marks.move(job, nominal_at, self._lease)


class CronOff:
    """Takes its place while cron is disabled: what passes meanwhile is not made up for."""

    name = NAME
    failing_seconds = 0.0

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._stopping = anyio.Event()

    async def take_over(self, lease: Lease) -> None:
        """Forget how far the clock was watched."""
        await self._marks.forget(lease)

    async def run(self, lease: Lease) -> None:
        """Wait for :meth:`stop`."""
        await self._stopping.wait()

    def stop(self) -> None:
        """Ask :meth:`run` to return."""
        self._stopping.set()
