"""Backfills without their surroundings: a real log and timers in SQLite, commands, and the policies.

Nothing happens by itself. ``settle`` hands every new event to every policy, and each event twice. The process
may be killed before or after any command: then all begins again from the batch that was not done.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from application.backfill_commands import RequestBackfill
from application.backfills import BackfillHandlers
from application.command import Command
from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.event_store import EventStore
from application.job_commands import CompleteJobRun, FailJobRun
from application.jobs import JobHandlers, Jobs
from application.outbox import Outbox
from application.policies import job_timers
from application.policies.backfills import Backfills
from application.policies.job_timers import JobTimers
from application.policies.reaction import Reaction
from application.timers import DueTimers
from domain import job
from domain.backfill import (
    Backfill,
    Plan,
    admissions_stream,
    admit,
    backfill_stream,
    evolve,
    evolve_admissions,
)
from domain.event import Event, Metadata
from domain.job import BatchJob, JobDefinition, JobFired, Schedule, job_stream
from domain.values import SYSTEM_TENANT
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.timers import SqliteTimers
from projections.ports import Handler
from tests.application.logs import open_logs, sqlite_settings
from tests.builders import LEASE, SettableClock, metadata
from tests.domain.backfill.asked import JOB, day
from tests.domain.scenario import fold
from tests.jobs import Broker


class Killed(BaseException):
    """The process is no more."""


class Killable(Dispatcher):
    """Does what a command says, unless the process is killed before or after."""

    kill_before: Callable[[Command], bool] = staticmethod(lambda command: False)
    kill_after: Callable[[Command], bool] = staticmethod(lambda command: False)

    async def __call__(self, command: Command) -> Committed:
        """Do it, or die."""
        if self.kill_before(command):
            raise Killed
        committed = await super().__call__(command)
        if self.kill_after(command):
            raise Killed
        return committed


class Backfilling:
    """Runs backfills of one job."""

    def __init__(self, store: EventStore, timers: SqliteTimers, definition: JobDefinition) -> None:
        self.store = store
        self.clock = SettableClock()
        self._timers = timers
        self._position: str | None = None
        self.configure(definition)

    def configure(self, *definitions: JobDefinition) -> None:
        """Start anew, with settings that name these jobs."""
        jobs = Jobs(definitions)
        self.dispatch = Killable(
            JobHandlers(self.store, self.clock, jobs).handlers(),
            BackfillHandlers(self.store, self.clock, jobs).handlers(),
        )
        self._due = DueTimers(self._timers, self.clock, self.dispatch, job_timers.COMMANDS)

    def follow_anew(self) -> None:
        """How far the policies had come was not saved."""
        self._position = None

    async def request(self, backfill_id: str = "b-1", **changes: Any) -> Committed:
        """Ask for a backfill of five days; nothing that follows happens yet."""
        given: dict[str, Any] = {"starts_at": day(1), "ends_at": day(6), "form": "dates", "metadata": {}}
        meta = metadata(tenant=SYSTEM_TENANT)
        return await self.dispatch(
            RequestBackfill(
                **{"meta": meta, "backfill_id": backfill_id, "job": JOB, "by": "ada", **given, **changes}
            )
        )

    async def admit(self, plan: Plan, meta: Metadata) -> None:
        """Give one a place, as if whoever asks were killed before it begins."""
        now = self.clock.now()
        await self.store.execute(
            admissions_stream(plan.job),
            evolve=evolve_admissions,
            decide=lambda state: admit(state, plan, now=now),
            meta=meta,
            now=now,
        )

    async def settle(self) -> None:
        """Hand every new event to every policy, twice; after a kill to new ones."""
        handlers = self._handlers()
        while (batch := await self.store.read("log", self._position, 100)) is not None:
            try:
                for handler in handlers:
                    wanted = [recorded for recorded in batch.events if handler.wants(recorded.event)]
                    for _ in range(2 if wanted else 0):
                        await handler.handle(wanted, LEASE)
            except Killed:
                handlers = self._handlers()
                continue
            self._position = batch.position

    async def report(self, run_id: str, error: str | None = None) -> None:
        """The worker says what became of a run, and what follows happens."""
        meta = metadata(tenant=SYSTEM_TENANT, correlation_id=run_id)
        if error is None:
            await self.dispatch(CompleteJobRun(meta=meta, job=JOB, reference=run_id))
        else:
            await self.dispatch(FailJobRun(meta=meta, job=JOB, reference=run_id, error=error))
        await self.settle()

    async def pass_time(self, **delta: float) -> None:
        """Let time pass, and what is due happen."""
        self.clock.advance(**delta)
        await self._due.fire(LEASE)
        await self.settle()

    async def finish(self) -> None:
        """Let the worker complete whatever is open, until there is no more."""
        await self.settle()
        while open_runs := (await self.job()).open_runs:
            await self.report(open_runs[0].fired.run_id)

    async def job(self) -> BatchJob:
        """The job as it stands."""
        return fold(job.evolve, await self.events(job_stream(JOB)))

    async def fired(self) -> list[JobFired]:
        """Every run that was opened, in its order."""
        return [each for each in await self.events(job_stream(JOB)) if isinstance(each, JobFired)]

    async def backfill(self, backfill_id: str = "b-1") -> Backfill:
        """A backfill as it stands."""
        return fold(evolve, await self.events(backfill_stream(backfill_id)))

    async def events(self, stream: str) -> list[Event]:
        """What a stream holds."""
        return [recorded.event for recorded in await self.store.load(stream)]

    def _handlers(self) -> Sequence[Handler]:
        return [
            Reaction(Backfills(), self.dispatch),
            JobTimers(self._timers),
            Outbox(Broker(), self.dispatch),
        ]


@asynccontextmanager
async def backfilling(folder: Path, **changes: Any) -> AsyncIterator[Backfilling]:
    """Backfills of a job of these rules, on files below a folder."""
    schedule = Schedule(cron="0 1 * * 0", time_zone="UTC")
    database = SqliteDatabase(folder / "timers.db", synchronous="NORMAL")
    with open_logs(sqlite_settings(folder)) as logs:
        timers = SqliteTimers(database)
        await timers.create()
        yield Backfilling(logs.store(), timers, JobDefinition(name=JOB, schedule=schedule, **changes))
        database.close()
