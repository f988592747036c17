"""What can happen to a backfill, and to the number of a job's backfills."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from domain.backfill.plan import Plan
from domain.event import Event, stored_as
from domain.values import SYSTEM_TENANT, StreamName

Outcome = Literal["completed", "completed_with_failures", "cancelled"]
Failing = Literal["failed", "timed_out", "refused"]
"""Why a window has failed: its last run failed, or was not heard of, or the job accepts no such run."""


def backfill_stream(backfill_id: str) -> str:
    """Return the name of a backfill's stream."""
    return str(StreamName(SYSTEM_TENANT, "backfill", backfill_id))


def admissions_stream(job: str) -> str:
    """Return the name of the stream that knows how many unfinished backfills a job has."""
    return str(StreamName(SYSTEM_TENANT, "backfills", job))


@stored_as("backfill.admitted")
class BackfillAdmitted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The job has a place for one more backfill, which is to begin."""

    plan: Plan
    admitted_at: datetime


@stored_as("backfill.left")
class BackfillLeft(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A backfill has ended, and its place is free."""

    job: str
    backfill_id: str
    left_at: datetime


@stored_as("backfill.requested")
class BackfillRequested(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A backfill begins."""

    plan: Plan
    requested_at: datetime


@stored_as("backfill.window_started")
class BackfillWindowStarted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A window's turn has come, and its run is to be opened."""

    backfill_id: str
    job: str
    number: int
    run_id: str
    starts_at: datetime
    ends_at: datetime
    metadata: Mapping[str, Any]
    started_at: datetime


@stored_as("backfill.window_tried_again")
class BackfillWindowTriedAgain(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The job's policy has opened another run in place of the window's run, which ended badly."""

    backfill_id: str
    number: int
    run_id: str
    attempt: int
    tried_again_at: datetime


@stored_as("backfill.window_completed")
class BackfillWindowCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The window's run is completed. ``late``: after the window had been given up as timed out."""

    backfill_id: str
    number: int
    run_id: str
    completed_at: datetime
    late: bool = False


@stored_as("backfill.window_failed")
class BackfillWindowFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The window has failed for good: its last run has ended badly, or the job accepts no such run."""

    backfill_id: str
    number: int
    run_id: str
    reason: Failing
    failed_at: datetime
    error: str | None = None


@stored_as("backfill.cancelled")
class BackfillCancelled(Event, frozen=True, kw_only=True, omit_defaults=True):
    """No further window starts. The backfill ends when the open ones have ended."""

    backfill_id: str
    job: str
    by: str
    reason: str
    cancelled_at: datetime


@stored_as("backfill.ended")
class BackfillEnded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """No window is open, and none will be."""

    backfill_id: str
    job: str
    outcome: Outcome
    ended_at: datetime


BackfillEvent = (
    BackfillRequested
    | BackfillWindowStarted
    | BackfillWindowTriedAgain
    | BackfillWindowCompleted
    | BackfillWindowFailed
    | BackfillCancelled
    | BackfillEnded
)
