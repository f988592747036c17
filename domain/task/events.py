"""What can happen to a task."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.event import Event, stored_as


@stored_as("task.offered")
class TaskOffered(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The workers of a queue may have it."""

    task_id: str
    queue: str
    input: Mapping[str, Any] = {}
    workflow_id: str
    step_id: str
    step_type: str
    attempt: int
    offered_at: datetime
    deadline_at: datetime | None = None


@stored_as("task.claimed")
class TaskClaimed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A worker has it until ``lease_until``. ``lease_digest`` is that of the lease's token."""

    task_id: str
    worker_id: str
    lease_digest: str
    lease_seconds: float
    lease_until: datetime
    claimed_at: datetime


@stored_as("task.lease_extended")
class TaskLeaseExtended(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The worker is alive, and keeps it for longer."""

    task_id: str
    lease_until: datetime
    previous_until: datetime
    extended_at: datetime


@stored_as("task.released")
class TaskReleased(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The worker has given it back to the queue before ``lease_until``."""

    task_id: str
    queue: str
    worker_id: str
    lease_until: datetime
    released_at: datetime


@stored_as("task.lease_expired")
class TaskLeaseExpired(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The worker was not heard from in time, and the task is back in the queue."""

    task_id: str
    queue: str
    worker_id: str
    lease_until: datetime
    expired_at: datetime


@stored_as("task.completed")
class TaskCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The worker has done it."""

    task_id: str
    workflow_id: str
    step_id: str
    attempt: int
    worker_id: str
    output: Any
    lease_until: datetime
    completed_at: datetime


@stored_as("task.failed")
class TaskFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The worker could not do it. ``retryable`` says whether another try may succeed."""

    task_id: str
    workflow_id: str
    step_id: str
    attempt: int
    worker_id: str
    error: str
    retryable: bool = True
    lease_until: datetime
    failed_at: datetime


@stored_as("task.revoked")
class TaskRevoked(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody waits for it any more. Its holder until ``lease_until`` is told at the next call."""

    task_id: str
    reason: str
    lease_until: datetime | None = None
    revoked_at: datetime


TaskEvent = (
    TaskOffered
    | TaskClaimed
    | TaskLeaseExtended
    | TaskReleased
    | TaskLeaseExpired
    | TaskCompleted
    | TaskFailed
    | TaskRevoked
)
"""Every event of a task."""
