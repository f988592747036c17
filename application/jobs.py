"""Batch jobs: load, decide, append."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from application.command import Command, moment_of
from application.deciders import Committed
from application.dispatcher import Handler
from application.event_store import EventStore
from application.held_back import held_back
from application.inputs import faults_in
from application.job_commands import (
    CompleteJobRun,
    FailJobRun,
    FireJob,
    JobCommand,
    MissFirings,
    NoteJobPublished,
    PauseJob,
    ReleaseJobRun,
    ResumeJob,
    RetryJobRun,
    StopRetries,
    TimeOutJobRun,
    TriggerJob,
)
from application.ports import Clock
from domain import job
from domain.errors import BadInput, JobNotFound, VersionMismatch
from domain.event import Event
from domain.job import BatchJob, JobDefinition, JobFired, MetadataLeftOut, job_stream

_LOOKED_AT = 50
"""How many events are read at a time to find one, at most."""

Decide = Callable[[BatchJob | None, JobDefinition, datetime], tuple[Event, ...]]
DecideOfRuns = Callable[[BatchJob, JobDefinition, datetime], tuple[Event, ...]]


class Jobs:
    """The configured jobs, in their order."""

    def __init__(self, definitions: Sequence[JobDefinition]) -> None:
        self.by_name = {each.name: each for each in definitions}

    def find(self, name: str) -> JobDefinition:
        """Return a job.

        Raises:
            JobNotFound: there is none of that name.
        """
        if name not in self.by_name:
            raise self.unknown(name)
        return self.by_name[name]

    def find_even_removed(self, name: str) -> JobDefinition:
        """Return a job, even if it is no longer in the settings."""
        return self.by_name.get(name) or job.removed_job(name)

    def unknown(self, name: str) -> JobNotFound:
        """Return the error for a job that does not exist."""
        return JobNotFound(f"there is no job {name!r}", {"jobs": list(self.by_name)})


class JobHandlers:
    """The handlers of the commands about batch jobs."""

    def __init__(self, store: EventStore, clock: Clock, jobs: Jobs) -> None:
        self._store = store
        self._clock = clock
        self._jobs = jobs

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Return the handler of each command."""
        return {
            FireJob: self.fire_job,
            MissFirings: self.miss_firings,
            TriggerJob: self.trigger_job,
            ReleaseJobRun: self.release_job_run,
            NoteJobPublished: self.note_job_published,
            RetryJobRun: self.retry_job_run,
            TimeOutJobRun: self.time_out_job_run,
            CompleteJobRun: self.complete_job_run,
            FailJobRun: self.fail_job_run,
            StopRetries: self.stop_retries,
            PauseJob: self.pause_job,
            ResumeJob: self.resume_job,
        }

    async def fire_job(self, command: FireJob) -> Committed:
        """Handle a cron firing. The append decides which of several instances was first."""
        return await self._do(
            command, lambda state, definition, now: job.fire(state, definition, command.nominal_at, now=now)
        )

    async def miss_firings(self, command: MissFirings) -> Committed:
        """Note missed firings."""
        singly = 0 if command.as_one else len(command.nominal_at)
        return await self._do(
            command,
            lambda state, _, now: job.miss(
                state, command.job, command.nominal_at, now=now, most_told_singly=singly
            ),
        )

    async def trigger_job(self, command: TriggerJob) -> Committed:
        """Open a run by hand. A run that exists is left as it is, whatever the settings say by then.

        Raises:
            JobNotFound: there is no such job.
            BadInput: the metadata does not fit the job's schema.
        """
        definition = await held_back(self._definition_for(command))

        def decide(state: BatchJob | None, now: datetime) -> tuple[Event, ...]:
            if state is not None and state.is_known(command.run_id):
                return ()
            return job.trigger(
                state,
                definition(),
                command.run_id,
                command.metadata,
                now=now,
                correlation_id=command.meta.correlation_id,
                backfill_id=command.backfill_id,
            )

        return await self._execute(command, decide)

    async def _definition_for(self, command: TriggerJob) -> JobDefinition:
        definition = self._jobs.find(command.job)
        if faults := await faults_in(
            command.meta.tenant, definition.metadata_schema, command.metadata, "metadata"
        ):
            raise BadInput("the metadata is not valid for the job", faults)
        return definition

    async def release_job_run(self, command: ReleaseJobRun) -> Committed:
        """Send a trigger that was delayed."""
        return await self._go_on(
            command,
            lambda state, definition, now: job.release(state, definition, command.run_id, now=now),
        )

    async def note_job_published(self, command: NoteJobPublished) -> Committed:
        """Note that a trigger is safe with the broker."""
        return await self._go_on(
            command,
            lambda state, _, now: job.publish(state, command.job, command.run_id, now=now),
        )

    async def retry_job_run(self, command: RetryJobRun) -> Committed:
        """Open another run in place of one that has failed."""
        try:
            return await self._try_again(command)
        except MetadataLeftOut:
            return await self._try_again(command, await self._metadata_of(command.job, command.run_id))

    async def time_out_job_run(self, command: TimeOutJobRun) -> Committed:
        """Give up on a run."""
        return await self._go_on(
            command,
            lambda state, definition, now: job.time_out(
                state, definition, command.run_id, now=moment_of(command, now)
            ),
        )

    async def complete_job_run(self, command: CompleteJobRun) -> Committed:
        """Handle a report of success."""
        return await self._go_on(
            command,
            lambda state, definition, now: job.complete(
                state,
                definition,
                reference=command.reference,
                ended_at=command.completed_at or now,
                now=now,
            ),
        )

    async def fail_job_run(self, command: FailJobRun) -> Committed:
        """Handle a report of failure."""
        return await self._go_on(
            command,
            lambda state, definition, now: job.fail(
                state,
                definition,
                reference=command.reference,
                error=command.error,
                ended_at=command.failed_at or now,
                now=now,
            ),
        )

    async def stop_retries(self, command: StopRetries) -> Committed:
        """Retry no run of a backfill."""
        return await self._go_on(
            command,
            lambda state, _, now: job.stop_retries(state, command.job, command.backfill_id, now=now),
        )

    async def pause_job(self, command: PauseJob) -> Committed:
        """Let cron not fire the job."""
        return await self._do(
            command,
            lambda state, _, now: job.pause(
                state, job=command.job, by=command.by, reason=command.reason, now=now
            ),
        )

    async def resume_job(self, command: ResumeJob) -> Committed:
        """Let cron fire the job again."""
        return await self._do(
            command, lambda state, _, now: job.resume(state, job=command.job, by=command.by, now=now)
        )

    async def _try_again(self, command: RetryJobRun, metadata: Mapping[str, Any] | None = None) -> Committed:
        return await self._go_on(
            command,
            lambda state, definition, now: job.try_again(
                state, definition, command.run_id, now=now, metadata=metadata
            ),
        )

    async def _metadata_of(self, name: str, run_id: str) -> Mapping[str, Any]:
        """Return the metadata with which a run was opened. It is searched from the stream's end."""
        events, _ = await self._store.history(job_stream(name), before=None, limit=_LOOKED_AT)
        while events:
            for recorded in events:
                if isinstance(recorded.event, JobFired) and recorded.event.run_id == run_id:
                    return recorded.event.metadata
            events, _ = await self._store.history(
                job_stream(name), before=events[-1].version, limit=_LOOKED_AT
            )
        raise LookupError(f"nothing tells how run {run_id} of {name} was opened")

    async def _do(self, command: JobCommand, decide: Decide) -> Committed:
        definition = self._jobs.find(command.job)
        return await self._execute(command, lambda state, now: decide(state, definition, now))

    async def _go_on(self, command: JobCommand, decide: DecideOfRuns) -> Committed:
        """Decide about a run that exists. It can come to its end even if the job was removed from the
        settings meanwhile.

        Raises:
            JobNotFound: the job is not in the settings, and never was.
        """
        definition = self._jobs.find_even_removed(command.job)

        def known(state: BatchJob | None, now: datetime) -> tuple[Event, ...]:
            if state is None and definition.removed:
                raise self._jobs.unknown(command.job)
            return decide(state or BatchJob(), definition, now)

        return await self._execute(command, known)

    async def _execute(
        self, command: JobCommand, decide: Callable[[BatchJob | None, datetime], tuple[Event, ...]]
    ) -> Committed:
        now = self._clock.now()

        def decide_now(state: BatchJob | None) -> tuple[Event, ...]:
            if state is None and command.expected_version not in (None, 0):
                raise VersionMismatch("nothing has happened to the job yet", {"version": 0})
            return decide(state, now)

        return await self._store.execute(
            job_stream(command.job),
            evolve=job.evolve,
            decide=decide_now,
            meta=command.meta,
            now=now,
            expected_version=command.expected_version,
        )
