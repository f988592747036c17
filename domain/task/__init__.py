"""Task: the work of a workflow's step that an outside worker does, who holds it under a lease.

The holder of the lease has its token. The log has only the token's digest, so nobody who can read the log, or
what is derived from it, can end another's work.
"""

from hashlib import sha256

from domain.task.events import (
    TaskClaimed,
    TaskCompleted,
    TaskEvent,
    TaskFailed,
    TaskLeaseExpired,
    TaskLeaseExtended,
    TaskOffered,
    TaskReleased,
    TaskRevoked,
)
from domain.task.rules import (
    Task,
    claim,
    complete,
    evolve,
    expire,
    fail,
    heartbeat,
    offer,
    release,
    revoke,
)
from domain.values import StreamName, derived_id


def task_stream(tenant: str, task_id: str) -> str:
    """Return the name of a task's stream."""
    return str(StreamName(tenant, "task", task_id))


def task_id_of(step_id: str, attempt: int) -> str:
    """Return the id of a task. Each dispatch of its step has another one."""
    return derived_id("task", step_id, str(attempt))


def digest_of(lease_token: str) -> str:
    """Return what is stored of a lease's token. The token is random and long, so nobody finds it by
    trying."""
    return sha256(lease_token.encode()).hexdigest()


__all__ = [
    "Task",
    "TaskClaimed",
    "TaskCompleted",
    "TaskEvent",
    "TaskFailed",
    "TaskLeaseExpired",
    "TaskLeaseExtended",
    "TaskOffered",
    "TaskReleased",
    "TaskRevoked",
    "claim",
    "complete",
    "digest_of",
    "evolve",
    "expire",
    "fail",
    "heartbeat",
    "offer",
    "release",
    "revoke",
    "task_id_of",
    "task_stream",
]
