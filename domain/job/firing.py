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
from domain.job.pausing import paused
from domain.job.policy import JobDefinition
from domain.job.state import BatchJob
from domain.values import timestamp

MOST_TOLD_ONE_BY_ONE = 1000

_REMOVED = "the job is no longer in the settings"
_SWITCHED_OFF = "the job is switched off"


def fire(
    state: BatchJob | None, definition: JobDefinition, nominal_at: datetime, *, now: datetime
) -> tuple[Event, ...]:
    """Handle a firing whose time has come. One that has been handled stays as it is.

    Whether another run is in its way is checked when its trigger is to go out, that is, after its jitter.
    """
    job = state or BatchJob()
    run = run_id(definition.name, nominal_at)
    if job.has_come(run, nominal_at, now=now):
        return ()
    due_at = definition.policy.due_at(definition.name, nominal_at)
    planned = JobRunScheduled(
        job=definition.name,
        run_id=run,
        scheduled_at=now,
        nominal_at=nominal_at,
        metadata=_cron_metadata(definition, now),
        waits_for="jitter",
        due_at=due_at,
    )
    return (planned,) if due_at > now and job.pause is None else (_let_go(job, definition, planned, now),)


def miss(
    state: BatchJob | None,
    job: str,
    missed: Sequence[datetime],
    *,
    now: datetime,
    most_told_singly: int = MOST_TOLD_ONE_BY_ONE,
) -> tuple[Event, ...]:
    """Note firings that were not made up for, the oldest first in ``missed``: the newest ``most_told_singly``
    each for itself, those before as one."""
    known = state or BatchJob()
    new = [each for each in missed if not known.has_come(run_id(job, each), each, now=now)]
    so_many = max(0, len(new) - most_told_singly)
    many, few = new[:so_many], new[so_many:]
    one_by_one = tuple(
        JobRunMissed(
            job=job,
            run_id=run_id(job, each),
            nominal_at=each,
            noticed_at=now,
            reason=unseen(each),
        )
        for each in few
    )
    if not many:
        return one_by_one
    together = JobRunsMissed(
        job=job,
        first_nominal_at=many[0],
        last_nominal_at=many[-1],
        number=len(many),
        noticed_at=now,
    )
    return (together, *one_by_one)


def unseen(nominal_at: datetime) -> str:
    """Return why a firing was missed."""
    return f"nobody watched the clock at {timestamp(nominal_at)}"


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
    """Open a run by hand, or for a backfill. A run that exists is not opened twice.

    The runs of a backfill come from one request, so its ``correlation_id`` could not distinguish them. Each
    uses its own id.
    """
    if state is not None and state.is_known(run):
        return ()
    triggered_by: TriggeredBy = "manual" if backfill_id is None else "backfill"
    opened = fired(definition, run, triggered_by, metadata, now=now, backfill_id=backfill_id)
    named = correlation_id if backfill_id is None else None
    return (msgspec.structs.replace(opened, correlation_id=named),)


def release(state: BatchJob, definition: JobDefinition, run: str, *, now: datetime) -> tuple[Event, ...]:
    """Send the trigger of a run whose delay is over, if nothing else is in its way by then."""
    waiting = next((each for each in state.waiting if each.run_id == run), None)
    if waiting is None or waiting.waits_for != "jitter":
        return ()
    return (_let_go(state, definition, waiting, now),)


def next_in_line(state: BatchJob, definition: JobDefinition, *, now: datetime) -> tuple[Event, ...]:
    """Return the event for the run that waited for the end of another."""
    queued = state.queued
    if queued is None or state.in_the_way(now):
        return ()
    held = _held(state, definition)
    return (_after_waiting(definition, queued, now) if held is None else _skipped(queued, held, now),)


class MetadataLeftOut(LookupError):
    """A run is to be retried, but its metadata was not kept in the state: it stands in its
    :class:`JobFired`."""


def try_again(
    state: BatchJob,
    definition: JobDefinition,
    run: str,
    *,
    now: datetime,
    metadata: Mapping[str, Any] | None = None,
) -> tuple[Event, ...]:
    """Open another run in place of one that has failed, with the same ``metadata``, which must be given if it
    was not kept.

    A retry of a cron run respects the overlap rule and the pause like a firing. A retry of a run by hand, or
    of a backfill, ignores them, as such a run does. If the job is no longer configured, nothing is retried,
    because nobody would know how.

    Raises:
        MetadataLeftOut: the metadata was not kept, and was not given.
    """
    failed = state.ended(run)
    if failed is None:
        return ()
    attempt = failed.attempt + 1
    again = retry_id(run, attempt)
    if state.is_known(again):
        return ()
    if run in state.left_out:
        if metadata is None:
            raise MetadataLeftOut(run)
        failed = msgspec.structs.replace(failed, metadata=metadata)
    if failed.nominal_at is not None:
        planned = JobRunScheduled(
            job=definition.name,
            run_id=again,
            scheduled_at=now,
            nominal_at=failed.nominal_at,
            metadata=failed.metadata,
            waits_for="jitter",
            attempt=attempt,
            retry_of=run,
        )
        return (_let_go(state, definition, planned, now),)
    if definition.removed:
        return (not_tried_again(failed, _REMOVED, now),)
    return (
        fired(
            definition,
            again,
            failed.triggered_by,
            failed.metadata,
            now=now,
            backfill_id=failed.backfill_id,
            attempt=attempt,
            retry_of=run,
        ),
    )


def not_tried_again(failed: JobFired, reason: str, now: datetime) -> JobRunSkipped:
    """Return the event for a retry that is no longer wanted."""
    return JobRunSkipped(
        job=failed.job,
        run_id=retry_id(failed.run_id, failed.attempt + 1),
        skipped_at=now,
        reason=reason,
        triggered_by=failed.triggered_by,
        retry_of=failed.run_id,
        backfill_id=failed.backfill_id,
    )


def publish(state: BatchJob, job: str, run: str, *, now: datetime) -> tuple[Event, ...]:
    """Note that a run's trigger is safe with the broker, even after the worker's report.

    The worker's time begins now. The time for which the broker was away is not counted.
    """
    found = state.open_run(run)
    if run not in state.unnoted and (found is None or found.published):
        return ()
    seconds = None if found is None else found.fired.deadline_seconds
    deadline_at = None if seconds is None else now + timedelta(seconds=seconds)
    return (JobRunPublished(job=job, run_id=run, published_at=now, deadline_at=deadline_at),)


def fired(
    definition: JobDefinition,
    run: str,
    triggered_by: TriggeredBy,
    metadata: Mapping[str, Any],
    *,
    now: datetime,
    nominal_at: datetime | None = None,
    backfill_id: str | None = None,
    attempt: int = 1,
    retry_of: str | None = None,
) -> JobFired:
    """Return the event that a run's trigger goes out now."""
    return JobFired(
        job=definition.name,
        run_id=run,
        triggered_by=triggered_by,
        fired_at=now,
        metadata=metadata,
        nominal_at=nominal_at,
        message_type=definition.message_type,
        deadline_seconds=definition.policy.deadline_seconds,
        backfill_id=backfill_id,
        attempt=attempt,
        retry_of=retry_of,
    )


def _let_go(job: BatchJob, definition: JobDefinition, planned: JobRunScheduled, now: datetime) -> Event:
    """Return what becomes of a cron run now that only other runs can hold it up."""
    overlap, others = definition.policy.overlap, job.in_the_way(now)
    held = _held(job, definition)
    if held is not None:
        return _skipped(planned, held, now)
    if overlap == "skip" and others:
        return _skipped(planned, f"run {others[-1].run_id} is still open", now)
    if overlap == "queue_one" and job.queued is not None:
        return _skipped(planned, f"run {job.queued.run_id} is already waiting", now)
    if overlap == "queue_one" and others:
        return msgspec.structs.replace(planned, scheduled_at=now, waits_for="open_run", due_at=None)
    return _after_waiting(definition, planned, now)


def _held(job: BatchJob, definition: JobDefinition) -> str | None:
    """Return why no cron run goes out, whatever else is open."""
    if definition.removed:
        return _REMOVED
    if not definition.enabled:
        return _SWITCHED_OFF
    return None if job.pause is None else paused(job.pause)


def _after_waiting(definition: JobDefinition, waiting: JobRunScheduled, now: datetime) -> JobFired:
    return fired(
        definition,
        waiting.run_id,
        "scheduler",
        {**waiting.metadata, "triggeredAt": timestamp(now)},
        now=now,
        nominal_at=waiting.nominal_at,
        attempt=waiting.attempt,
        retry_of=waiting.retry_of,
    )


def _cron_metadata(definition: JobDefinition, now: datetime) -> Mapping[str, Any]:
    return {"schedule": definition.schedule.cron, "triggeredAt": timestamp(now)}


def _skipped(planned: JobRunScheduled, reason: str, now: datetime) -> JobRunSkipped:
    return JobRunSkipped(
        job=planned.job,
        run_id=planned.run_id,
        nominal_at=planned.nominal_at,
        skipped_at=now,
        reason=reason,
        retry_of=planned.retry_of,
    )
