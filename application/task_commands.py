"""The commands about tasks. Commands of lease holders carry the digest of the token, never the token
itself."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from application.command import Command


class TaskCommand(Command, frozen=True, kw_only=True):
    """The fields that all these commands have."""

    task_id: str


class OfferTask(TaskCommand, frozen=True, kw_only=True):
    """Offer a step's work to the workers of a queue, until ``deadline_at`` if that is given."""

    queue: str
    input: Mapping[str, Any]
    workflow_id: str
    step_id: str
    step_type: str
    attempt: int
    deadline_at: datetime | None


class ClaimTask(TaskCommand, frozen=True, kw_only=True):
    """Give a task to a worker for ``lease_seconds``."""

    worker_id: str
    lease_digest: str
    lease_seconds: float


class ExtendTaskLease(TaskCommand, frozen=True, kw_only=True):
    """Extend a lease to ``lease_seconds`` from now, or to the time for which the task was claimed."""

    lease_digest: str
    lease_seconds: float | None


class ReleaseTask(TaskCommand, frozen=True, kw_only=True):
    """Give a task back to its queue."""

    lease_digest: str


class CompleteTask(TaskCommand, frozen=True, kw_only=True):
    """Store the worker's result."""

    lease_digest: str
    output: Any


class FailTask(TaskCommand, frozen=True, kw_only=True):
    """Store the worker's report that it could not do the task."""

    lease_digest: str
    error: str
    retryable: bool


class ExpireTaskLease(TaskCommand, frozen=True, kw_only=True):
    """Put a task back into its queue, because its lease ran out at ``due_at``."""

    due_at: datetime


class RevokeTask(TaskCommand, frozen=True, kw_only=True):
    """Withdraw a task that nobody waits for any more."""

    reason: str
