"""BatchJob: the firings of one scheduled job and what came of each."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from immutables import Map

from domain.errors import JobNotFound
from domain.event import Event, stored_as
from domain.values import SYSTEM_TENANT, StreamName, derived_id, timestamp

JOB_NAMES = (
    "risk-snapshot-backfill",
    "outcome-sync",
    "industry-benchmarks",
    "risk-clustering",
    "account-health",
    "propagation",
    "model-monitoring",
)
"""The seven jobs of the platform (wire contract, section 2)."""

RunStatus = Literal["scheduled", "completed", "failed"]
TriggeredBy = Literal["scheduler", "manual"]


def job_stream(job: str) -> str:
    """The name of a job's stream.

    Raises:
        JobNotFound: the platform has no such job.
    """
    if job not in JOB_NAMES:
        raise JobNotFound(f"there is no job {job!r}", {"jobs": list(JOB_NAMES)})
    return str(StreamName(SYSTEM_TENANT, "job", job))


def run_id(job: str, nominal_at: datetime) -> str:
    """The id of a cron firing's run: job and nominal time are the firing's whole identity."""
    return derived_id("firing", job, timestamp(nominal_at))


@stored_as("job.fired")
class JobFired(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A run was opened; ``nominal_at`` is the time that cron named, absent for a manual one."""

    job: str
    run_id: str
    triggered_by: TriggeredBy
    fired_at: datetime
    metadata: Mapping[str, Any]
    nominal_at: datetime | None = None


@stored_as("job.run_completed")
class JobRunCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The worker has reported the run's success."""

    job: str
    run_id: str
    completed_at: datetime


@stored_as("job.run_failed")
class JobRunFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The worker has reported the run's failure."""

    job: str
    run_id: str
    error: str
    failed_at: datetime


class BatchJob(msgspec.Struct, frozen=True, kw_only=True):
    """Every run of a job, and those still open, oldest first."""

    runs: Map[str, None] = Map()
    open_runs: tuple[str, ...] = ()


def fire(state: BatchJob | None, fired: JobFired) -> tuple[Event, ...]:
    """Open a run; a firing that is already there is not opened twice."""
    return () if state and fired.run_id in state.runs else (fired,)


def complete_run(state: BatchJob | None, *, job: str, completed_at: datetime) -> tuple[Event, ...]:
    """Close the newest open run as completed; a report with nothing open changes nothing."""
    if not state or not state.open_runs:
        return ()
    return (JobRunCompleted(job=job, run_id=state.open_runs[-1], completed_at=completed_at),)


def fail_run(state: BatchJob | None, *, job: str, error: str, failed_at: datetime) -> tuple[Event, ...]:
    """Close the newest open run as failed; a report with nothing open changes nothing."""
    if not state or not state.open_runs:
        return ()
    return (JobRunFailed(job=job, run_id=state.open_runs[-1], error=error, failed_at=failed_at),)


def evolve(state: BatchJob | None, event: Event) -> BatchJob:
    """The job after ``event``."""
    job = state or BatchJob()
    match event:
        case JobFired():
            return BatchJob(runs=job.runs.set(event.run_id, None), open_runs=(*job.open_runs, event.run_id))
        case JobRunCompleted() | JobRunFailed():
            still_open = tuple(run for run in job.open_runs if run != event.run_id)
            return BatchJob(runs=job.runs, open_runs=still_open)
    raise TypeError(f"{event!r} is no event of a job")
