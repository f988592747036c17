"""The commands about backfills."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from application.command import Command
from domain.backfill import Failing, Form, Plan


class RequestBackfill(Command, frozen=True, kw_only=True):
    """Run a job over a range, window by window. ``form`` says how the range was given."""

    backfill_id: str
    job: str
    starts_at: datetime
    ends_at: datetime
    form: Form
    by: str
    window_days: int = 1
    metadata: Mapping[str, Any]
    max_active: int = 1


class BeginBackfill(Command, frozen=True, kw_only=True):
    """Begin a backfill that has been admitted."""

    plan: Plan


class BackfillCommand(Command, frozen=True, kw_only=True):
    """The fields of the commands about an existing backfill."""

    backfill_id: str


class TryWindowAgain(BackfillCommand, frozen=True, kw_only=True):
    """Note the run that was opened in place of a window's former run."""

    run_id: str
    in_place_of: str
    attempt: int


class CompleteWindow(BackfillCommand, frozen=True, kw_only=True):
    """Note that a window's run is completed, and start what may start now."""

    run_id: str
    completed_at: datetime


class FailWindow(BackfillCommand, frozen=True, kw_only=True):
    """Note that a window has failed, and start what may start now."""

    run_id: str
    reason: Failing
    error: str | None = None
    failed_at: datetime | None = None


class CancelBackfill(BackfillCommand, frozen=True, kw_only=True):
    """Start no further window."""

    job: str
    by: str
    reason: str


class LeaveBackfills(BackfillCommand, frozen=True, kw_only=True):
    """Free the place of a backfill that has ended."""

    job: str
