"""What can be asked of tasks. Commands of lease holders carry the digest of the token, never the token."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from application.command import Command


class TaskCommand(Command, frozen=True, kw_only=True):
    """What all of them carry."""

    task_id: str


class OfferTask(TaskCommand, frozen=True, kw_only=True):
    """Let the workers of a queue have a step's work, until ``deadline_at`` if that is said."""

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
    """Keep a task for ``lease_seconds`` from now, or for as long as it was claimed for."""

    lease_digest: str
    lease_seconds: float | None


class ReleaseTask(TaskCommand, frozen=True, kw_only=True):
    """Give a task back to its queue."""

    lease_digest: str


class CompleteTask(TaskCommand, frozen=True, kw_only=True):
    """Take the worker's result."""

    lease_digest: str
    output: Any


class FailTask(TaskCommand, frozen=True, kw_only=True):
    """Take the worker's report that it could not do it."""

    lease_digest: str
    error: str
    retryable: bool


class ExpireTaskLease(TaskCommand, frozen=True, kw_only=True):
    """Put a task back into its queue whose lease ran out at ``due_at``."""

    due_at: datetime


class RevokeTask(TaskCommand, frozen=True, kw_only=True):
    """Nobody waits for a task any more."""

    reason: str
