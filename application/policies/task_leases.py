"""Timers that end leases: a worker that is not heard from in time loses its task."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from application.command import Command
from application.policies.timer_keeper import TimerKeeper, timer_of
from application.ports import Timer
from application.task_commands import ExpireTaskLease
from domain.event import Event, Recorded
from domain.interest import Interest
from domain.task import (
    TaskClaimed,
    TaskCompleted,
    TaskFailed,
    TaskLeaseExpired,
    TaskLeaseExtended,
    TaskReleased,
    TaskRevoked,
)
from domain.values import derived_id, in_utc

TASK_LEASE = "task-lease"

_Ended = TaskReleased | TaskLeaseExpired | TaskCompleted | TaskFailed | TaskRevoked


class TaskLeaseTimers(TimerKeeper):
    """Keeps a timer for the end of each lease.

    An extended lease gets another timer, with its own id, because the old one may be firing just now.
    """

    name = "task-lease-timers"
    wants = Interest(TaskClaimed | TaskLeaseExtended | _Ended)

    def begun(self, recorded: Recorded) -> Sequence[Timer]:
        """Return the timer for the end of a lease that begins or is extended."""
        event = recorded.event
        if not isinstance(event, TaskClaimed | TaskLeaseExtended):
            return []
        id = _timer_id(event.task_id, event.lease_until)
        payload = {"task_id": event.task_id}
        return [timer_of(recorded, id=id, kind=TASK_LEASE, due_at=event.lease_until, payload=payload)]

    def ended(self, event: Event) -> Sequence[str]:
        """Return the timer for the former end of a lease."""
        if not isinstance(event, TaskLeaseExtended | _Ended):
            return []
        until = event.previous_until if isinstance(event, TaskLeaseExtended) else event.lease_until
        return [] if until is None else [_timer_id(event.task_id, until)]


def _timer_id(task_id: str, until: datetime) -> str:
    """Return the id with the full time, because short leases may follow each other within a millisecond."""
    return derived_id(TASK_LEASE, task_id, in_utc(until).isoformat(timespec="microseconds"))


def _expired(timer: Timer) -> Command:
    return ExpireTaskLease(meta=timer.meta, task_id=str(timer.payload["task_id"]), due_at=timer.due_at)


COMMANDS: Mapping[str, Callable[[Timer], Command]] = {TASK_LEASE: _expired}
"""The command that each kind of timer stands for."""
