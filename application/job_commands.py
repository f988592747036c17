"""The commands about batch jobs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from application.command import Command


class JobCommand(Command, frozen=True, kw_only=True):
    """The fields that all these commands have."""

    job: str


class FireJob(JobCommand, frozen=True, kw_only=True):
    """Handle a firing whose nominal time has come."""

    nominal_at: datetime


class MissFirings(JobCommand, frozen=True, kw_only=True):
    """Note that these nominal times were missed and are not made up for, the oldest first: together if
    ``as_one``, or each for itself."""

    nominal_at: Sequence[datetime]
    as_one: bool = False


class TriggerJob(JobCommand, frozen=True, kw_only=True):
    """Open a run by hand, or for a backfill, with metadata for the worker."""

    run_id: str
    metadata: Mapping[str, Any]
    backfill_id: str | None = None


class ReleaseJobRun(JobCommand, frozen=True, kw_only=True):
    """Send the trigger of a run whose delay is over."""

    run_id: str


class NoteJobPublished(JobCommand, frozen=True, kw_only=True):
    """Note that the broker has a run's trigger."""

    run_id: str


class RetryJobRun(JobCommand, frozen=True, kw_only=True):
    """Open another run in place of a failed one, whose pause is over."""

    run_id: str


class TimeOutJobRun(JobCommand, frozen=True, kw_only=True):
    """Give up on a run that nobody has reported by ``due_at``."""

    run_id: str
    due_at: datetime


class CompleteJobRun(JobCommand, frozen=True, kw_only=True):
    """Handle the worker's report of success. The run ended now, if the report does not say when.

    ``reference`` is the name by which the report may name its run.
    """

    reference: str | None = None
    completed_at: datetime | None = None


class FailJobRun(JobCommand, frozen=True, kw_only=True):
    """Handle the worker's report of failure. The run ended now, if the report does not say when."""

    error: str
    reference: str | None = None
    failed_at: datetime | None = None


class StopRetries(JobCommand, frozen=True, kw_only=True):
    """Retry no run of a backfill."""

    backfill_id: str


class PauseJob(JobCommand, frozen=True, kw_only=True):
    """Let cron not fire the job."""

    by: str
    reason: str


class ResumeJob(JobCommand, frozen=True, kw_only=True):
    """Let cron fire the job again."""

    by: str
