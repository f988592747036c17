"""What becomes of a firing: its trigger goes out, it waits, it is skipped, or it was missed."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from domain.event import Event
from domain.job.events import (
    JobFired,
    JobRunMissed,
    JobRunPublished,
    JobRunScheduled,
    JobRunSkipped,
    JobRunsMissed,
    TriggeredBy,
    retry_id,
    run_id,
)
from domain.job.policy import JobDefinition
from domain.job.state import BatchJob
from domain.values import timestamp

MOST_TOLD_ONE_BY_ONE = 1000


def fire(
    state: BatchJob | None, definition: JobDefinition, nominal_at: datetime, *, now: datetime
) -> tuple[Event, ...]:
    """Take a firing whose time has come; one that something has come of already stays as it is."""
    job = state or BatchJob()
    run = run_id(definition.name, nominal_at)
    if job.is_known(run, nominal_at):
        return ()
    if job.pause is not None:
        reason = f"{job.pause.by} has paused the job: {job.pause.reason}"
        return (_skipped(definition.name, run, nominal_at, reason, now),)
    others = [each for each in job.open_runs if each.fired.backfill_id is None]
    queued = [each for each in job.waiting if each.waits_for == "open_run"]
    if others and definition.policy.overlap == "skip":
        reason = f"run {others[-1].fired.run_id} is still open"
        return (_skipped(definition.name, run, nominal_at, reason, now),)
    if definition.policy.overlap == "queue_one" and queued:
        reason = f"run {queued[0].run_id} waits already"
        return (_skipped(definition.name, run, nominal_at, reason, now),)
    due_at = definition.policy.due_at(definition.name, nominal_at)
    waits_for_run = bool(others) and definition.policy.overlap == "queue_one"
    if waits_for_run or due_at > now:
        return (
            JobRunScheduled(
                job=definition.name,
                run_id=run,
                scheduled_at=now,
                nominal_at=nominal_at,
                metadata=_cron_metadata(definition, now),
                waits_for="open_run" if waits_for_run else "jitter",
                due_at=None if waits_for_run else due_at,
            ),
        )
    metadata = _cron_metadata(definition, now)
    return (fired(definition, run, "scheduler", metadata, now=now, nominal_at=nominal_at),)


def miss(state: BatchJob | None, job: str, missed: Sequence[datetime], *, now: datetime) -> tuple[Event, ...]:
    """Keep that firings were not made up for, the oldest first in ``missed``; very many are told as one."""
    known = state or BatchJob()
    new = [each for each in missed if not known.is_known(run_id(job, each), each)]
    many, few = new[:-MOST_TOLD_ONE_BY_ONE], new[-MOST_TOLD_ONE_BY_ONE:]
    together = (
        JobRunsMissed(
            job=job,
            first_nominal_at=many[0],
            last_nominal_at=many[-1],
            number=len(many),
            noticed_at=now,
        ),
    )
    one_by_one = (
        JobRunMissed(
            job=job,
            run_id=run_id(job, each),
            nominal_at=each,
            noticed_at=now,
            reason=f"nobody watched the clock at {timestamp(each)}",
        )
        for each in few
    )
    return (*(together if many else ()), *one_by_one)


def trigger(
    state: BatchJob | None,
    definition: JobDefinition,
    run: str,
    metadata: Mapping[str, Any],
    *,
    now: datetime,
    correlation_id: str | None = None,
    backfill_id: str | None = None,
) -> tuple[Event, ...]:
    """Open a run by hand, or for a backfill; a run that is there already is not opened twice."""
    if state is not None and state.is_known(run):
        return ()
    triggered_by: TriggeredBy = "manual" if backfill_id is None else "backfill"
    opened = fired(definition, run, triggered_by, metadata, now=now, backfill_id=backfill_id)
    return (msgspec.structs.replace(opened, correlation_id=correlation_id),)


def release(state: BatchJob, definition: JobDefinition, run: str, *, now: datetime) -> tuple[Event, ...]:
    """Let the trigger of a run go out whose delay is over."""
    waiting = next((each for each in state.waiting if each.run_id == run), None)
    if waiting is None:
        return ()
    return (_after_waiting(definition, waiting, now),)


def next_in_line(state: BatchJob, definition: JobDefinition, *, now: datetime) -> tuple[Event, ...]:
    """What may go out after a run has ended: the one that waited for it."""
    if any(each.fired.backfill_id is None for each in state.open_runs):
        return ()
    queued = next((each for each in state.waiting if each.waits_for == "open_run"), None)
    return () if queued is None else (_after_waiting(definition, queued, now),)


def try_again(state: BatchJob, definition: JobDefinition, run: str, *, now: datetime) -> tuple[Event, ...]:
    """Open another run in place of one that has failed, with the same metadata."""
    failed = next((each for each in state.ended_badly if each.run_id == run), None)
    if failed is None:
        return ()
    attempt = failed.attempt + 1
    again = retry_id(run, attempt)
    if state.is_known(again):
        return ()
    return (
        msgspec.structs.replace(
            failed,
            run_id=again,
            fired_at=now,
            deadline_at=now + timedelta(seconds=definition.policy.deadline_seconds),
            attempt=attempt,
            retry_of=run,
        ),
    )


def publish(state: BatchJob, run: str, *, now: datetime) -> tuple[Event, ...]:
    """Keep that a run's trigger is safe with the broker."""
    found = state.open_run(run)
    if found is None or found.published:
        return ()
    return (JobRunPublished(job=found.fired.job, run_id=run, published_at=now),)


def fired(
    definition: JobDefinition,
    run: str,
    triggered_by: TriggeredBy,
    metadata: Mapping[str, Any],
    *,
    now: datetime,
    nominal_at: datetime | None = None,
    backfill_id: str | None = None,
) -> JobFired:
    """A run's trigger, that goes out now."""
    return JobFired(
        job=definition.name,
        run_id=run,
        triggered_by=triggered_by,
        fired_at=now,
        metadata=metadata,
        nominal_at=nominal_at,
        message_type=definition.message_type,
        deadline_at=now + timedelta(seconds=definition.policy.deadline_seconds),
        backfill_id=backfill_id,
    )


def _after_waiting(definition: JobDefinition, waiting: JobRunScheduled, now: datetime) -> JobFired:
    metadata = {**waiting.metadata, "triggeredAt": timestamp(now)}
    return fired(definition, waiting.run_id, "scheduler", metadata, now=now, nominal_at=waiting.nominal_at)


def _cron_metadata(definition: JobDefinition, now: datetime) -> Mapping[str, Any]:
    return {"schedule": definition.schedule.cron, "triggeredAt": timestamp(now)}


def _skipped(job: str, run: str, nominal_at: datetime, reason: str, now: datetime) -> JobRunSkipped:
    return JobRunSkipped(job=job, run_id=run, nominal_at=nominal_at, skipped_at=now, reason=reason)
