"""What can be asked of tasks. Commands of lease holders carry the digest of the token, never the token."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from application.commands import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCommand(Command):
    """What all of them carry."""

    task_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferTask(TaskCommand):
    """Let the workers of a queue have a step's work, until ``deadline_at`` if that is said."""

    queue: str
    input: Mapping[str, Any]
    workflow_id: str
    step_id: str
    step_type: str
    attempt: int
    deadline_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTask(TaskCommand):
    """Give a task to a worker for ``lease_seconds``."""

    worker_id: str
    lease_digest: str
    lease_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendTaskLease(TaskCommand):
    """Keep a task for ``lease_seconds`` from now, or for as long as it was claimed for."""

    lease_digest: str
    lease_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTask(TaskCommand):
    """Give a task back to its queue."""

    lease_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteTask(TaskCommand):
    """Take the worker's result."""

    lease_digest: str
    output: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FailTask(TaskCommand):
    """Take the worker's report that it could not do it."""

    lease_digest: str
    error: str
    retryable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireTaskLease(TaskCommand):
    """Put a task back into its queue whose lease ran out at ``due_at``."""

    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeTask(TaskCommand):
    """Nobody waits for a task any more."""

    reason: str
