"""Batch jobs: load, decide, append."""

from collections.abc import Callable, Mapping
from datetime import datetime

from application.commands import Command, CompleteJobRun, FailJobRun, FireJob, TriggerJob
from application.deciders import Committed
from application.dispatcher import Handler
from application.event_store import EventStore
from application.ports import Clock
from domain import job
from domain.event import Event
from domain.job import BatchJob, JobFired, job_stream
from domain.values import timestamp


class JobHandlers:
    """Everything that can be asked of batch jobs."""

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Which method handles which command."""
        return {
            FireJob: self.fire_job,
            TriggerJob: self.trigger_job,
            CompleteJobRun: self.complete_job_run,
            FailJobRun: self.fail_job_run,
        }

    async def fire_job(self, command: FireJob) -> Committed:
        """Open the run of a cron firing; the append decides which of several instances was first."""
        now = self._clock.now()
        fired = JobFired(
            job=command.job,
            run_id=job.run_id(command.job, command.nominal_at),
            triggered_by="scheduler",
            fired_at=now,
            metadata={"schedule": command.schedule, "triggeredAt": timestamp(now)},
            nominal_at=command.nominal_at,
        )
        return await self._decide(command, command.job, now, lambda state: job.fire(state, fired))

    async def trigger_job(self, command: TriggerJob) -> Committed:
        """Open a run by hand."""
        now = self._clock.now()
        fired = JobFired(
            job=command.job,
            run_id=command.run_id,
            triggered_by="manual",
            fired_at=now,
            metadata=command.metadata,
        )
        return await self._decide(command, command.job, now, lambda state: job.fire(state, fired))

    async def complete_job_run(self, command: CompleteJobRun) -> Committed:
        """Close the newest open run as completed."""
        now = self._clock.now()
        return await self._decide(
            command,
            command.job,
            now,
            lambda state: job.complete_run(state, job=command.job, completed_at=command.completed_at or now),
        )

    async def fail_job_run(self, command: FailJobRun) -> Committed:
        """Close the newest open run as failed."""
        now = self._clock.now()
        return await self._decide(
            command,
            command.job,
            now,
            lambda state: job.fail_run(
                state, job=command.job, error=command.error, failed_at=command.failed_at or now
            ),
        )

    async def _decide(
        self,
        command: Command,
        name: str,
        now: datetime,
        decide: Callable[[BatchJob | None], tuple[Event, ...]],
    ) -> Committed:
        return await self._store.execute(
            job_stream(name), evolve=job.evolve, decide=decide, meta=command.meta, now=now
        )
