"""The watch of the clock on a clock that is moved: the real one, but for what sleeps and what stores."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import anyio

from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.event_store import EventStore
from application.jobs import JobHandlers, Jobs
from application.pasts import Past
from domain.event import Event, Metadata, Recorded
from domain.job import BatchJob, evolve, job_stream
from infrastructure.memory.checkpoints import MemoryCheckpoints
from interfaces.scheduling.cron import schedule_of
from interfaces.scheduling.cron_commands import CronCommands
from interfaces.scheduling.engine import Schedule, ScheduleTrigger
from interfaces.scheduling.marks import Marks
from interfaces.scheduling.pending_firings import Fire
from interfaces.scheduling.scheduler import JobScheduler
from interfaces.scheduling.watch import CronWatch
from projections.ports import Checkpoints
from tests.builders import LEASE, SettableClock


class MemoryStore:
    """Load, decide, append, without a database."""

    def __init__(self) -> None:
        self.events: dict[str, list[Recorded]] = {}
        self._states: dict[str, BatchJob] = {}

    async def execute(
        self,
        stream: str,
        *,
        evolve: Callable[[Any, Event], Any],
        decide: Callable[[Any], Sequence[Event]],
        meta: Metadata,
        now: datetime,
        expected_version: int | None = None,
    ) -> Committed:
        """As the event store does, for the one writer that there is."""
        past = self.events.setdefault(stream, [])
        new = []
        for event in decide(self._states.get(stream)):
            self._states[stream] = evolve(self._states.get(stream), event)
            version = len(past) + 1
            recorded = Recorded(stream=stream, version=version, timestamp=now, meta=meta, event=event)
            past.append(recorded)
            new.append(recorded)
        return Committed(stream, Past(), tuple(new), str(len(past)), len(past))

    def state(self, job: str) -> BatchJob | None:
        """What is known of a job."""
        return self._states.get(job_stream(job))

    def history(self, job: str) -> list[Event]:
        """What has happened to a job."""
        return [each.event for each in self.events.get(job_stream(job), [])]


class SteppedScheduler:
    """In the place of the scheduler: APScheduler's triggers, asked on each tick and not by a timer."""

    def __init__(self, schedules: Mapping[str, Schedule], fire: Fire, clock: SettableClock) -> None:
        self._schedules = schedules
        self._fire = fire
        self._clock = clock
        self._next: dict[str, tuple[ScheduleTrigger, datetime]] = {}
        self._soonest = datetime.max.replace(tzinfo=UTC)
        self.started = anyio.Event()

    async def start(self, since: Mapping[str, datetime], overdue: Mapping[str, Sequence[datetime]]) -> None:
        """Fire what is overdue, and look at the clock from then on."""
        for job, times in overdue.items():
            for nominal_at in times:
                await self._fire(job, nominal_at)
        now = self._clock.now()
        for job, schedule in self._schedules.items():
            trigger = ScheduleTrigger(schedule, since.get(job))
            self._next[job] = (trigger, trigger.get_next_fire_time(None, now))
        self._soonest = min((due for _, due in self._next.values()), default=self._soonest)
        self.started.set()

    async def tick(self) -> bool:
        """Fire what is due; whether anything was."""
        now = self._clock.now()
        if now < self._soonest:
            return False
        for job, (trigger, due) in self._next.items():
            while due <= now:
                await self._fire(job, due)
                due = trigger.get_next_fire_time(due, now)
            self._next[job] = (trigger, due)
        self._soonest = min(due for _, due in self._next.values())
        return True

    async def jump(self) -> None:
        """Whatever its clock is set to, it goes through all of it."""
        await anyio.sleep_forever()

    async def stop(self, timeout_seconds: float) -> None:
        """Nothing is in hand between two ticks."""


class Simulation:
    """Jobs and their clock; instances that watch it come and go."""

    def __init__(
        self,
        jobs: Jobs,
        clock: SettableClock,
        *,
        store: EventStore | MemoryStore | None = None,
        positions: Checkpoints | None = None,
    ) -> None:
        self.jobs = jobs
        self.clock = clock
        self.memory = MemoryStore()
        self.store = cast(EventStore, store or self.memory)
        self.positions = positions or MemoryCheckpoints()
        self.dispatch = Dispatcher(JobHandlers(self.store, clock, jobs).handlers())
        self.schedules = {job: schedule_of(each) for job, each in jobs.by_name.items()}

    @property
    def marks(self) -> Marks:
        """How far the clock has been watched; jobs that are off are watched by nobody."""
        enabled = {job: each for job, each in self.schedules.items() if self.jobs.find(job).enabled}
        return Marks(self.positions, enabled, switched_off=self.schedules.keys() - enabled.keys())

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[SteppedScheduler]:
        """An instance that watches the clock, and is killed in the end."""
        enabled = {job: each for job, each in self.schedules.items() if self.jobs.find(job).enabled}
        firings = CronCommands(self.dispatch)
        watch = CronWatch(self.jobs, enabled, firings.fire, firings.miss, self.marks, self.clock)
        stepped = SteppedScheduler(enabled, watch._fire, self.clock)
        watch.scheduler = cast(JobScheduler, stepped)
        async with anyio.create_task_group() as group:
            group.start_soon(watch.run, LEASE)
            await stepped.started.wait()
            yield stepped
            group.cancel_scope.cancel()

    def apply(self, job: str, *events: Event) -> None:
        """Let something have happened to a job."""
        past = self.memory.events.setdefault(job_stream(job), [])
        for event in events:
            self.memory._states[job_stream(job)] = evolve(self.memory.state(job), event)
            meta = Metadata(tenant="t", actor="a", correlation_id="c", command_id="c")
            now = self.clock.now()
            past.append(
                Recorded(stream=job_stream(job), version=len(past) + 1, timestamp=now, meta=meta, event=event)
            )
