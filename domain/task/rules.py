"""What may be done with a task, and what the rules know of it."""

import hmac
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from domain.errors import TaskEnded, TaskLeaseLost, TaskNotOffered
from domain.event import Event
from domain.task.events import (
    TaskClaimed,
    TaskCompleted,
    TaskFailed,
    TaskLeaseExpired,
    TaskLeaseExtended,
    TaskOffered,
    TaskReleased,
    TaskRevoked,
)
from domain.values import is_same_json

Status = Literal["offered", "claimed", "completed", "failed", "revoked"]

ENDED: tuple[Status, ...] = ("completed", "failed", "revoked")

WORTHWHILE_SHARE = 0.25
"""A heartbeat is stored if it moves the lease's end by this share of the lease: four events a lease at most,
however often a worker sends one."""


MOST_LOST = 10
"""The task fails after so many workers that were not heard from again: they may crash because of it."""


class TaskLease(msgspec.Struct, frozen=True):
    """Who has a task, by the digest of the token, and until when."""

    digest: str
    worker_id: str
    seconds: float
    until: datetime


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules know of a task.

    ``lease`` is the present one, or the last one of a task that has ended. ``released`` is the digest of a
    lease that was given back, as long as nobody else has had the task since. ``outcome`` is the worker's
    report. ``lost`` counts the workers that were not heard from again.
    """

    offered: TaskOffered
    status: Status = "offered"
    lease: TaskLease | None = None
    released: str | None = None
    outcome: Any = None
    lost: int = 0


def offer(state: Task | None, offered: TaskOffered) -> tuple[Event, ...]:
    """Offer it to the workers of a queue. Offering it again changes nothing."""
    return () if state else (offered,)


def claim(
    state: Task, *, worker_id: str, lease_digest: str, lease_seconds: float, now: datetime
) -> tuple[Event, ...]:
    """Give it to a worker. A task whose lease has run out can be claimed before that is stored.

    Raises:
        TaskNotOffered: another worker has it, or its step's time is up.
        TaskEnded: it is over.
    """
    _require_open(state)
    deadline = state.offered.deadline_at
    if deadline is not None and now >= deadline:
        raise TaskNotOffered("the task's time is up")
    expired = expire(state, now=now)
    if state.status == "claimed" and not expired:
        raise TaskNotOffered("another worker has the task")
    if any(isinstance(event, TaskFailed) for event in expired):
        raise TaskNotOffered("too many workers claimed the task and were not heard from again")
    claimed = TaskClaimed(
        task_id=state.offered.task_id,
        worker_id=worker_id,
        lease_digest=lease_digest,
        lease_seconds=lease_seconds,
        lease_until=now + timedelta(seconds=lease_seconds),
        claimed_at=now,
    )
    return (*expired, claimed)


def heartbeat(
    state: Task, *, lease_digest: str, lease_seconds: float | None, now: datetime
) -> tuple[Event, ...]:
    """Extend the lease to ``lease_seconds`` from now, or to the time for which it was claimed; never to less
    than before.

    Nothing changes if that is hardly later than the present end.

    Raises:
        TaskLeaseLost: the lease has passed on, or the task is back in its queue.
        TaskEnded: it is over; the worker should stop.
    """
    lease = _lease_of_holder(state, lease_digest)
    _require_open(state)
    seconds = lease.seconds if lease_seconds is None else lease_seconds
    until = now + timedelta(seconds=seconds)
    if until - lease.until < timedelta(seconds=seconds * WORTHWHILE_SHARE):
        return ()
    extended = TaskLeaseExtended(
        task_id=state.offered.task_id, lease_until=until, previous_until=lease.until, extended_at=now
    )
    return (extended,)


def release(state: Task, *, lease_digest: str, now: datetime) -> tuple[Event, ...]:
    """Give it back, so that another worker may have it at once. Doing so twice changes nothing.

    Raises:
        TaskLeaseLost: the lease has passed on, or the task is back in its queue.
        TaskEnded: it is over.
    """
    if state.released is not None and hmac.compare_digest(state.released, lease_digest):
        return ()
    lease = _lease_of_holder(state, lease_digest)
    _require_open(state)
    released = TaskReleased(
        task_id=state.offered.task_id,
        queue=state.offered.queue,
        worker_id=lease.worker_id,
        lease_until=lease.until,
        released_at=now,
    )
    return (released,)


def complete(state: Task, *, lease_digest: str, output: Any, now: datetime) -> tuple[Event, ...]:
    """Store the worker's result. The same result under the same lease again changes nothing.

    A lease that has run out counts as long as nobody else has the task, so that finished work is not lost.

    Raises:
        TaskLeaseLost: the lease has passed on, or the task is back in its queue.
        TaskEnded: it has ended in another way.
    """
    lease = _lease_of_holder(state, lease_digest)
    if state.status == "completed" and is_same_json(state.outcome, output):
        return ()
    _require_open(state)
    offered = state.offered
    completed = TaskCompleted(
        task_id=offered.task_id,
        workflow_id=offered.workflow_id,
        step_id=offered.step_id,
        attempt=offered.attempt,
        worker_id=lease.worker_id,
        output=output,
        lease_until=lease.until,
        completed_at=now,
    )
    return (completed,)


def fail(state: Task, *, lease_digest: str, error: str, retryable: bool, now: datetime) -> tuple[Event, ...]:
    """Store the worker's report that it could not do it. The same report again changes nothing.

    Raises:
        TaskLeaseLost: the lease has passed on, or the task is back in its queue.
        TaskEnded: it has ended in another way.
    """
    lease = _lease_of_holder(state, lease_digest)
    if state.status == "failed" and state.outcome == (error, retryable):
        return ()
    _require_open(state)
    return (_failed(state, lease, error, retryable=retryable, now=now),)


def expire(state: Task, *, now: datetime) -> tuple[Event, ...]:
    """Put it back into its queue if its lease has run out. The :data:`MOST_LOST`-th time it fails."""
    lease = state.lease
    if state.status != "claimed" or lease is None or now < lease.until:
        return ()
    expired = TaskLeaseExpired(
        task_id=state.offered.task_id,
        queue=state.offered.queue,
        worker_id=lease.worker_id,
        lease_until=lease.until,
        expired_at=now,
    )
    if state.lost + 1 < MOST_LOST:
        return (expired,)
    error = f"{MOST_LOST} workers claimed the task and were not heard from again"
    return (expired, _failed(state, lease, error, retryable=True, now=now))


def revoke(state: Task | None, *, reason: str, now: datetime) -> tuple[Event, ...]:
    """Withdraw it, because nobody waits for it any more. One that does not exist, or is over, is left as it
    is."""
    if state is None or state.status in ENDED:
        return ()
    until = None if state.lease is None else state.lease.until
    return (TaskRevoked(task_id=state.offered.task_id, reason=reason, lease_until=until, revoked_at=now),)


def evolve(state: Task | None, event: Event) -> Task:
    """Return the task after ``event``."""
    if state is None:
        if isinstance(event, TaskOffered):
            return Task(offered=event)
        raise TypeError(f"{event!r} cannot begin a task")
    replace = msgspec.structs.replace
    match event:
        case TaskClaimed():
            lease = TaskLease(event.lease_digest, event.worker_id, event.lease_seconds, event.lease_until)
            return replace(state, status="claimed", lease=lease, released=None)
        case TaskLeaseExtended() if state.lease is not None:
            return replace(state, lease=replace(state.lease, until=event.lease_until))
        case TaskReleased() if state.lease is not None:
            return replace(state, status="offered", lease=None, released=state.lease.digest)
        case TaskLeaseExpired():
            return replace(state, status="offered", lease=None, lost=state.lost + 1)
        case TaskCompleted():
            return replace(state, status="completed", outcome=event.output)
        case TaskFailed():
            return replace(state, status="failed", outcome=(event.error, event.retryable))
        case TaskRevoked():
            return replace(state, status="revoked")
    raise TypeError(f"{event!r} cannot follow {state!r}")


def _failed(state: Task, lease: TaskLease, error: str, *, retryable: bool, now: datetime) -> TaskFailed:
    offered = state.offered
    return TaskFailed(
        task_id=offered.task_id,
        workflow_id=offered.workflow_id,
        step_id=offered.step_id,
        attempt=offered.attempt,
        worker_id=lease.worker_id,
        error=error,
        retryable=retryable,
        lease_until=lease.until,
        failed_at=now,
    )


def _lease_of_holder(state: Task, digest: str) -> TaskLease:
    """Return the lease whose token the caller has, whatever has become of the task."""
    if state.lease is None or not hmac.compare_digest(state.lease.digest, digest):
        raise TaskLeaseLost("the lease is not the task's current one: it has expired or was released")
    return state.lease


def _require_open(state: Task) -> None:
    if state.status in ENDED:
        raise TaskEnded(f"the task is {state.status}", {"status": state.status})
