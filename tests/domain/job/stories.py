"""Commands of a job in few words, on the clock of the tests."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from domain import job
from domain.event import Event
from domain.job import BatchJob, JobDefinition, JobFired, JobRunScheduled, JobRunSkipped, run_id
from domain.values import timestamp
from tests.builders import NOW
from tests.domain.scenario import Given
from tests.jobs import DEADLINE, JOB, definition

Decide = Callable[[BatchJob], tuple[Event, ...]]

PLAIN = definition()


def given(*events: Event) -> Given[BatchJob]:
    """A job to which that has happened."""
    return Given(job.evolve, *events)


def cron_run(nominal_at: datetime, *, at: datetime | None = None, **fields: Any) -> JobFired:
    """The trigger of a firing, at its time unless ``at`` says when."""
    moment = at or nominal_at
    given: dict[str, Any] = {
        "run_id": run_id(JOB, nominal_at),
        "fired_at": moment,
        "metadata": {"schedule": "0 1 * * *", "triggeredAt": timestamp(moment)},
        "deadline_seconds": DEADLINE.total_seconds(),
    }
    return JobFired(job=JOB, triggered_by="scheduler", nominal_at=nominal_at, **{**given, **fields})


def waiting(nominal_at: datetime, *, at: datetime | None = None, **fields: Any) -> JobRunScheduled:
    """A firing that waits for the open run, unless the fields say for what."""
    moment = at or nominal_at
    given: dict[str, Any] = {"waits_for": "open_run", "run_id": run_id(JOB, nominal_at)}
    return JobRunScheduled(
        job=JOB,
        scheduled_at=moment,
        nominal_at=nominal_at,
        metadata={"schedule": "0 1 * * *", "triggeredAt": timestamp(moment)},
        **{**given, **fields},
    )


def skipped(nominal_at: datetime, reason: str, *, at: datetime | None = None, **fields: Any) -> JobRunSkipped:
    """A firing of which nothing becomes."""
    given = {"run_id": run_id(JOB, nominal_at), **fields}
    return JobRunSkipped(job=JOB, nominal_at=nominal_at, skipped_at=at or nominal_at, reason=reason, **given)


def fire(nominal_at: datetime, rules: JobDefinition = PLAIN, *, at: datetime | None = None) -> Decide:
    """Its time has come."""
    return lambda state: job.fire(state, rules, nominal_at, now=at or nominal_at)


def publish(run: str, *, at: datetime) -> Decide:
    """The broker has its trigger."""
    return lambda state: job.publish(state, JOB, run, now=at)


def complete(
    reference: str | None = None, rules: JobDefinition = PLAIN, *, at: datetime = NOW + timedelta(hours=1)
) -> Decide:
    """The worker says that it went well."""
    return lambda state: job.complete(state, rules, reference=reference, ended_at=at, now=at)


def fail(
    reference: str | None = None, rules: JobDefinition = PLAIN, *, at: datetime = NOW + timedelta(hours=1)
) -> Decide:
    """The worker says that it went wrong."""
    return lambda state: job.fail(state, rules, reference=reference, error="no disk", ended_at=at, now=at)


def time_out(run: str, rules: JobDefinition = PLAIN, *, at: datetime = NOW + DEADLINE) -> Decide:
    """Nobody has said anything."""
    return lambda state: job.time_out(state, rules, run, now=at)


def try_again(run: str, rules: JobDefinition, *, at: datetime) -> Decide:
    """The pause before another try is over."""
    return lambda state: job.try_again(state, rules, run, now=at)


def release(run: str, rules: JobDefinition, *, at: datetime) -> Decide:
    """The delay of a trigger is over."""
    return lambda state: job.release(state, rules, run, now=at)
