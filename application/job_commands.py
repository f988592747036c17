"""What can be asked of batch jobs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from application.command import Command


class JobCommand(Command, frozen=True, kw_only=True):
    """What all of them carry."""

    job: str


class FireJob(JobCommand, frozen=True, kw_only=True):
    """Take a firing whose nominal time has come."""

    nominal_at: datetime


class MissFirings(JobCommand, frozen=True, kw_only=True):
    """Keep that these nominal times passed unseen and are not made up for, the oldest first; ``as_one``, or
    each for itself."""

    nominal_at: Sequence[datetime]
    as_one: bool = False


class TriggerJob(JobCommand, frozen=True, kw_only=True):
    """Open a run by hand, or for a backfill, with metadata for the worker."""

    run_id: str
    metadata: Mapping[str, Any]
    backfill_id: str | None = None


class ReleaseJobRun(JobCommand, frozen=True, kw_only=True):
    """Let the trigger of a run go out whose delay is over."""

    run_id: str


class NoteJobPublished(JobCommand, frozen=True, kw_only=True):
    """Keep that the broker has a run's trigger."""

    run_id: str


class RetryJobRun(JobCommand, frozen=True, kw_only=True):
    """Open another run in place of a failed one: its pause is over."""

    run_id: str


class TimeOutJobRun(JobCommand, frozen=True, kw_only=True):
    """Give up on a run that nobody has reported by ``due_at``."""

    run_id: str
    due_at: datetime


class CompleteJobRun(JobCommand, frozen=True, kw_only=True):
    """Take the worker's report of success; it ended now if the report does not say when.

    ``reference`` is what the report may name its run by.
    """

    reference: str | None = None
    completed_at: datetime | None = None


class FailJobRun(JobCommand, frozen=True, kw_only=True):
    """Take the worker's report of failure; it ended now if the report does not say when."""

    error: str
    reference: str | None = None
    failed_at: datetime | None = None


class StopRetries(JobCommand, frozen=True, kw_only=True):
    """Try no run of a backfill again."""

    backfill_id: str


class PauseJob(JobCommand, frozen=True, kw_only=True):
    """Keep cron from firing it."""

    by: str
    reason: str


class ResumeJob(JobCommand, frozen=True, kw_only=True):
    """Let cron fire it again."""

    by: str
