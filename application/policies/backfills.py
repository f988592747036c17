"""Continues backfills: a window that starts gets its run, and the end of that run is the end of the window.

Each command is derived from its event, and has no effect if it is repeated. So an event that is handled
twice, or again by another instance after a kill, opens no run twice and starts no window twice.
"""

from collections.abc import Sequence

from application.backfill_commands import (
    BeginBackfill,
    CompleteWindow,
    FailWindow,
    LeaveBackfills,
    TryWindowAgain,
)
from application.command import Command
from application.job_commands import StopRetries, TriggerJob
from application.policies.reaction import because_of
from domain.backfill import BackfillAdmitted, BackfillCancelled, BackfillEnded, BackfillWindowStarted
from domain.errors import Refusal
from domain.event import Recorded
from domain.interest import Interest
from domain.job import JobFired, JobRunCompleted, JobRunFailed, JobRunSkipped, JobRunTimedOut
from domain.values import timestamp


class Backfills:
    """Leads from a window to its run and back."""

    name = "backfills"
    wants = (
        Interest(JobFired, where=lambda event: event.backfill_id is not None and event.retry_of is not None)
        | Interest(
            JobRunFailed | JobRunTimedOut,
            where=lambda event: event.backfill_id is not None and event.retry_at is None,
        )
        | Interest(JobRunCompleted | JobRunSkipped, where=lambda event: event.backfill_id is not None)
        | Interest(BackfillAdmitted | BackfillWindowStarted | BackfillCancelled | BackfillEnded)
    )
    """What backfills decide, and the outcomes of their runs. A run that will be retried has not ended."""

    def commands(self, recorded: Recorded) -> Sequence[Command]:
        """Begin a backfill, open a run, report the outcome of a run, or free a place."""
        meta = because_of(recorded, self.name)
        match event := recorded.event:
            case BackfillAdmitted():
                return [BeginBackfill(meta=recorded.meta, plan=event.plan)]
            case BackfillWindowStarted():
                return [self._trigger(recorded, event)]
            case BackfillEnded():
                return [LeaveBackfills(meta=meta, backfill_id=event.backfill_id, job=event.job)]
            case BackfillCancelled():
                leave = because_of(recorded, self.name, "leave")
                return [
                    StopRetries(meta=meta, job=event.job, backfill_id=event.backfill_id),
                    LeaveBackfills(meta=leave, backfill_id=event.backfill_id, job=event.job),
                ]
            case JobFired(backfill_id=str(backfill_id), retry_of=str(earlier)):
                return [
                    TryWindowAgain(
                        meta=meta,
                        backfill_id=backfill_id,
                        run_id=event.run_id,
                        in_place_of=earlier,
                        attempt=event.attempt,
                    )
                ]
            case JobRunCompleted(backfill_id=str(backfill_id)):
                return [
                    CompleteWindow(
                        meta=meta,
                        backfill_id=backfill_id,
                        run_id=event.run_id,
                        completed_at=event.completed_at,
                    )
                ]
            case JobRunFailed(backfill_id=str(backfill_id)):
                return [
                    FailWindow(
                        meta=meta,
                        backfill_id=backfill_id,
                        run_id=event.run_id,
                        reason="failed",
                        error=event.error,
                        failed_at=event.failed_at,
                    )
                ]
            case JobRunTimedOut(backfill_id=str(backfill_id)):
                return [
                    FailWindow(
                        meta=meta,
                        backfill_id=backfill_id,
                        run_id=event.run_id,
                        reason="timed_out",
                        error=f"no report by {timestamp(event.deadline_at)}",
                        failed_at=event.timed_out_at,
                    )
                ]
            case JobRunSkipped(backfill_id=str(backfill_id), retry_of=str(earlier)):
                return [
                    FailWindow(
                        meta=meta,
                        backfill_id=backfill_id,
                        run_id=earlier,
                        reason="refused",
                        error=event.reason,
                        failed_at=event.skipped_at,
                    )
                ]
        return []

    def after_refusal(self, recorded: Recorded, refusal: Refusal) -> Sequence[Command]:
        """A window must not hold up the others because the job accepts no run for it."""
        event = recorded.event
        if not isinstance(event, BackfillWindowStarted):
            return []
        return [
            FailWindow(
                meta=because_of(recorded, self.name, "refused"),
                backfill_id=event.backfill_id,
                run_id=event.run_id,
                reason="refused",
                error=refusal.in_a_line,
            )
        ]

    def _trigger(self, recorded: Recorded, event: BackfillWindowStarted) -> TriggerJob:
        return TriggerJob(
            meta=because_of(recorded, self.name),
            job=event.job,
            run_id=event.run_id,
            metadata=event.metadata,
            backfill_id=event.backfill_id,
        )
