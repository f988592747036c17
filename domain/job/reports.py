"""The outcome of a run: the worker reports it, or nobody does in time."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from domain.event import Event
from domain.job.events import (
    JobBackfillCancelled,
    JobFired,
    JobReportUnmatched,
    JobRunCompleted,
    JobRunFailed,
    JobRunSkipped,
    JobRunTimedOut,
    report_id,
)
from domain.job.firing import next_in_line, not_tried_again
from domain.job.policy import JobDefinition
from domain.job.state import BatchJob, evolve


def complete(
    state: BatchJob | None,
    definition: JobDefinition,
    *,
    reference: str | None,
    ended_at: datetime,
    now: datetime,
) -> tuple[Event, ...]:
    """Handle a report of success: for the run that its ``reference`` belongs to, or else for the newest open
    one.

    A report that comes after its run has failed or timed out still counts: the worker has the last word. A
    report that belongs to no run is stored as such.
    """
    job = state or BatchJob()
    run = None if reference is None else job.named(reference)
    if run is not None and (ended := job.ended(run)) is not None:
        return (_completed(ended, ended_at, late=True), *_done_already(job, run, now))
    open_run = _reported(job, run)
    if open_run is None:
        return _unmatched(job, definition.name, run, "completed", None, now)
    return _and_next(job, definition, _completed(open_run, ended_at), now)


def fail(
    state: BatchJob | None,
    definition: JobDefinition,
    *,
    reference: str | None,
    error: str,
    ended_at: datetime,
    now: datetime,
) -> tuple[Event, ...]:
    """Handle a report of failure, like :func:`complete`. As long as the policy has attempts left, another one
    follows."""
    job = state or BatchJob()
    run = None if reference is None else job.named(reference)
    open_run = _reported(job, run)
    if open_run is None:
        return _unmatched(job, definition.name, run, "failed", error, now)
    failed = JobRunFailed(
        job=open_run.job,
        run_id=open_run.run_id,
        error=error,
        failed_at=ended_at,
        backfill_id=open_run.backfill_id,
        retry_at=_retry_at(job, definition, open_run, now),
        attempt=open_run.attempt,
        moot=open_run.run_id in job.moot,
    )
    return _and_next(job, definition, failed, now)


def time_out(state: BatchJob, definition: JobDefinition, run: str, *, now: datetime) -> tuple[Event, ...]:
    """Note that nobody has reported a run within its deadline."""
    found = state.open_run(run)
    if found is None or found.deadline_at is None or now < found.deadline_at:
        return ()
    timed_out = JobRunTimedOut(
        job=found.fired.job,
        run_id=run,
        deadline_at=found.deadline_at,
        timed_out_at=now,
        backfill_id=found.fired.backfill_id,
        retry_at=_retry_at(state, definition, found.fired, now),
        attempt=found.fired.attempt,
        moot=run in state.moot,
    )
    return _and_next(state, definition, timed_out, now)


def _reported(job: BatchJob, run: str | None) -> JobFired | None:
    """Return the open run that a report is for."""
    if run is not None:
        found = job.open_run(run)
        return None if found is None else found.fired
    return job.open_runs[-1].fired if job.open_runs else None


def _and_next(job: BatchJob, definition: JobDefinition, ended: Event, now: datetime) -> tuple[Event, ...]:
    return (ended, *next_in_line(evolve(job, ended), definition, now=now))


def _completed(run: JobFired, ended_at: datetime, *, late: bool = False) -> JobRunCompleted:
    return JobRunCompleted(
        job=run.job,
        run_id=run.run_id,
        completed_at=ended_at,
        backfill_id=run.backfill_id,
        late=late,
    )


def _unmatched(
    job: BatchJob,
    name: str,
    run: str | None,
    outcome: Literal["completed", "failed"],
    error: str | None,
    now: datetime,
) -> tuple[Event, ...]:
    """Return the event for a report that belongs to no open run. A report of a run that has ended is no
    news."""
    if run is not None:
        return ()
    id = report_id(name, job.unmatched + 1)
    return (JobReportUnmatched(job=name, run_id=id, outcome=outcome, reported_at=now, error=error),)


def stop_retries(state: BatchJob | None, job: str, backfill_id: str, *, now: datetime) -> tuple[Event, ...]:
    """Retry no run of a backfill, because somebody has cancelled it."""
    known = state or BatchJob()
    if backfill_id in known.cancelled:
        return ()
    waiting = (
        each
        for each in known.ended_badly
        if each.backfill_id == backfill_id and each.run_id in known.to_retry
    )
    skipped = (not_tried_again(each, "the backfill was cancelled", now) for each in waiting)
    return (JobBackfillCancelled(job=job, backfill_id=backfill_id, cancelled_at=now), *skipped)


def _done_already(job: BatchJob, run: str, now: datetime) -> Iterator[Event]:
    """Yield the events for retries that have not gone out, of a run that has succeeded after all."""
    later = job.attempts_after(run)
    for each in job.waiting:
        if each.run_id in later:
            yield JobRunSkipped(
                job=each.job,
                run_id=each.run_id,
                nominal_at=each.nominal_at,
                skipped_at=now,
                reason=f"run {run} has succeeded after all",
                retry_of=each.retry_of,
            )


def _retry_at(job: BatchJob, definition: JobDefinition, run: JobFired, now: datetime) -> datetime | None:
    retries = definition.policy.retries
    nobody_wants_it = run.run_id in job.moot or run.backfill_id in job.cancelled
    if nobody_wants_it or run.attempt >= retries.attempts:
        return None
    return now + retries.pause_before(run.attempt + 1)
