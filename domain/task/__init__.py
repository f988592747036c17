"""Task: work of a workflow's step that is handed to a worker outside, who holds it under a lease.

Whoever holds the lease has its token; the log has the token's digest alone, so that nobody who may read the
log, or what is derived from it, can end another's work.
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
    """The name of a task's stream."""
    return str(StreamName(tenant, "task", task_id))


def task_id_of(step_id: str, attempt: int) -> str:
    """The id of a task: another at each dispatch of its step."""
    return derived_id("task", step_id, str(attempt))


def digest_of(lease_token: str) -> str:
    """What is kept of a lease's token. It is random and long, so nobody finds it by trying."""
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
