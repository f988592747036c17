"""What can be asked of backfills."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from application.commands import Command
from domain.backfill import Failing, Form, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBackfill(Command):
    """Run a job over a range, window by window; ``form`` is how the range was given."""

    backfill_id: str
    job: str
    starts_at: datetime
    ends_at: datetime
    form: Form
    by: str
    window_days: int = 1
    metadata: Mapping[str, Any]
    max_active: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginBackfill(Command):
    """Begin a backfill that has a place."""

    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillCommand(Command):
    """What all have in common that are about a backfill that there is."""

    backfill_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TryWindowAgain(BackfillCommand):
    """Take note of the run that was opened in place of a window's."""

    run_id: str
    in_place_of: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteWindow(BackfillCommand):
    """Take note that a window's run is completed, and start what may start now."""

    run_id: str
    completed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FailWindow(BackfillCommand):
    """Take note that nothing comes of a window, and start what may start now."""

    run_id: str
    reason: Failing
    error: str | None = None
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelBackfill(BackfillCommand):
    """Let no further window start."""

    job: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveBackfills(BackfillCommand):
    """Free the place of a backfill that has ended."""

    job: str
