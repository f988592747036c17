"""What can be asked of batch jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from application.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCommand(Command):
    """What all of them carry."""

    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FireJob(JobCommand):
    """Take a firing whose nominal time has come."""

    nominal_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MissFirings(JobCommand):
    """Keep that these nominal times passed unseen and are not made up for, the oldest first."""

    nominal_at: Sequence[datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerJob(JobCommand):
    """Open a run by hand, or for a backfill, with metadata for the worker."""

    run_id: str
    metadata: Mapping[str, Any]
    backfill_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseJobRun(JobCommand):
    """Let the trigger of a run go out whose delay is over."""

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteJobPublished(JobCommand):
    """Keep that the broker has a run's trigger."""

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryJobRun(JobCommand):
    """Open another run in place of a failed one: its pause is over."""

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOutJobRun(JobCommand):
    """Give up on a run that nobody has reported in time; a clock that was set back does not save it."""

    run_id: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteJobRun(JobCommand):
    """Take the worker's report of success; it ended now if the report does not say when.

    ``reference`` is what the report may name its run by.
    """

    reference: str | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailJobRun(JobCommand):
    """Take the worker's report of failure; it ended now if the report does not say when."""

    error: str
    reference: str | None = None
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRetries(JobCommand):
    """Try no run of a backfill again."""

    backfill_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseJob(JobCommand):
    """Keep cron from firing it."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeJob(JobCommand):
    """Let cron fire it again."""

    by: str
