"""What can happen to a job and to its runs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from domain.event import Event, stored_as
from domain.values import SYSTEM_TENANT, StreamName, derived_id, timestamp

TriggeredBy = Literal["scheduler", "manual", "backfill"]
WaitsFor = Literal["jitter", "open_run"]


def job_stream(job: str) -> str:
    """Return the name of a job's stream."""
    return str(StreamName(SYSTEM_TENANT, "job", job))


def run_id(job: str, nominal_at: datetime) -> str:
    """Return the id of a cron firing's run. It depends only on the job and the nominal time."""
    return derived_id("firing", job, timestamp(nominal_at))


def report_id(job: str, number: int) -> str:
    """Return the id under which a report is stored that belongs to no run, the ``number``-th of the job."""
    return derived_id("report", job, str(number))


def retry_id(run_id: str, attempt: int) -> str:
    """Return the id of the run that retries another one."""
    return derived_id("retry of a run", run_id, str(attempt))


@stored_as("job.run_scheduled")
class JobRunScheduled(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A firing's time has come. Its trigger goes out at ``due_at``, or when the open run has ended.

    It may wait for ``due_at`` first, and then for the open run.
    """

    job: str
    run_id: str
    scheduled_at: datetime
    nominal_at: datetime
    metadata: Mapping[str, Any]
    waits_for: WaitsFor
    due_at: datetime | None = None
    attempt: int = 1
    retry_of: str | None = None


@stored_as("job.fired", version=2, upcasters={1: lambda stored: stored})
class JobFired(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The trigger of a run goes out. ``nominal_at`` is the time that cron named; it is absent for a run by
    hand.

    Without ``deadline_seconds`` nobody waits for a report. A report may name the run's id or
    ``correlation_id``. The trigger carries ``correlation_id``, or else the run's id, for the worker to send
    back.
    """

    job: str
    run_id: str
    triggered_by: TriggeredBy
    fired_at: datetime
    metadata: Mapping[str, Any]
    nominal_at: datetime | None = None
    message_type: str = "workflow.job.trigger"
    deadline_seconds: float | None = None
    attempt: int = 1
    retry_of: str | None = None
    backfill_id: str | None = None
    correlation_id: str | None = None


@stored_as("job.run_published")
class JobRunPublished(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The broker has confirmed the trigger. The worker has until ``deadline_at`` to report, if there is a
    deadline."""

    job: str
    run_id: str
    published_at: datetime
    deadline_at: datetime | None = None


@stored_as("job.run_completed", version=2, upcasters={1: lambda stored: stored})
class JobRunCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The worker has reported the run's success. ``late``: after the run had ended badly."""

    job: str
    run_id: str
    completed_at: datetime
    backfill_id: str | None = None
    late: bool = False


@stored_as("job.run_failed", version=2, upcasters={1: lambda stored: stored})
class JobRunFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The worker has reported the run's failure. The run is retried at ``retry_at``, if at all.

    It is ``moot`` if an earlier attempt has succeeded after all.
    """

    job: str
    run_id: str
    error: str
    failed_at: datetime
    backfill_id: str | None = None
    retry_at: datetime | None = None
    attempt: int = 1
    moot: bool = False


@stored_as("job.run_timed_out")
class JobRunTimedOut(Event, frozen=True, kw_only=True, omit_defaults=True):
    """No report came within the job's deadline. The run is retried at ``retry_at``, if at all.

    It is ``moot`` if an earlier attempt has succeeded after all.
    """

    job: str
    run_id: str
    deadline_at: datetime
    timed_out_at: datetime
    backfill_id: str | None = None
    retry_at: datetime | None = None
    attempt: int = 1
    moot: bool = False


@stored_as("job.run_missed")
class JobRunMissed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """No instance ran when its time came, and it is not made up for."""

    job: str
    run_id: str
    nominal_at: datetime
    noticed_at: datetime
    reason: str


@stored_as("job.runs_missed")
class JobRunsMissed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Many missed firings, stored as one event: from the first to the last of them."""

    job: str
    first_nominal_at: datetime
    last_nominal_at: datetime
    number: int
    noticed_at: datetime


@stored_as("job.run_skipped")
class JobRunSkipped(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Its time has come, but the job is paused or no longer configured, or a run of it is open.

    Or a retry is no longer wanted. Only a retry may belong to no firing of cron.
    """

    job: str
    run_id: str
    skipped_at: datetime
    reason: str
    nominal_at: datetime | None = None
    triggered_by: TriggeredBy = "scheduler"
    retry_of: str | None = None
    backfill_id: str | None = None


@stored_as("job.report_unmatched")
class JobReportUnmatched(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The worker reported an end, but no run was open: somebody else has triggered it.

    It has its own id in the history of the job's runs.
    """

    job: str
    run_id: str
    outcome: Literal["completed", "failed"]
    reported_at: datetime
    error: str | None = None


@stored_as("job.paused")
class JobPaused(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Cron does not fire it until it is resumed."""

    job: str
    by: str
    reason: str
    paused_at: datetime


@stored_as("job.backfill_cancelled")
class JobBackfillCancelled(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Runs of that backfill that end badly are not retried."""

    job: str
    backfill_id: str
    cancelled_at: datetime


@stored_as("job.resumed")
class JobResumed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Cron fires it again."""

    job: str
    by: str
    resumed_at: datetime


JobEvent = (
    JobRunScheduled
    | JobFired
    | JobRunPublished
    | JobRunCompleted
    | JobRunFailed
    | JobRunTimedOut
    | JobRunMissed
    | JobRunsMissed
    | JobRunSkipped
    | JobReportUnmatched
    | JobBackfillCancelled
    | JobPaused
    | JobResumed
)
