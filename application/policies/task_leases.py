"""The clock ends leases: a worker that is not heard of in time loses its task."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from application.commands import Command
from application.ports import Timer, Timers
from application.task_commands import ExpireTaskLease
from domain.event import Event, Metadata, Recorded
from domain.lease import Lease
from domain.task import (
    TaskClaimed,
    TaskCompleted,
    TaskFailed,
    TaskLeaseExpired,
    TaskLeaseExtended,
    TaskReleased,
    TaskRevoked,
)
from domain.values import derived_id, timestamp

TASK_LEASE = "task-lease"
ACTOR = "system:timers"

_Ended = TaskReleased | TaskLeaseExpired | TaskCompleted | TaskFailed | TaskRevoked
_Event = TaskClaimed | TaskLeaseExtended | _Ended


class TaskLeaseTimers:
    """A follower's handler: keeps a timer for the end of each lease.

    A lease that is extended gets another timer, under an id of its own: the old one may be firing just now,
    and whoever fires it forgets it by its id.
    """

    name = "task-lease-timers"
    may_repeat_unnoticed = False

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    def wants(self, event: Event) -> bool:
        """Whether a lease begins, moves or ends with such an event."""
        return isinstance(event, _Event)

    async def start_over(self) -> None:
        """A timer of another log is refused when it is due: there is no such task."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Set and cancel the batch's timers; a timer that ends within the batch is never set."""
        wanted: dict[str, Timer] = {}
        ended: set[str] = set()
        for recorded in events:
            event = recorded.event
            assert isinstance(event, _Event)
            if isinstance(event, TaskClaimed | TaskLeaseExtended):
                timer = _timer(event, recorded)
                wanted[timer.id] = timer
            until = event.previous_until if isinstance(event, TaskLeaseExtended) else event.lease_until
            if until is not None and not isinstance(event, TaskClaimed):
                ended.add(_timer_id(event.task_id, until))
        running = [timer for timer_id, timer in wanted.items() if timer_id not in ended]
        if running or ended:
            await self._timers.change(set=running, cancel=sorted(ended), lease=lease)


def _timer(event: TaskClaimed | TaskLeaseExtended, recorded: Recorded) -> Timer:
    id = _timer_id(event.task_id, event.lease_until)
    meta = Metadata(
        tenant=recorded.meta.tenant,
        actor=ACTOR,
        correlation_id=recorded.meta.correlation_id,
        causation_id=str(recorded.event_id),
        command_id=id,
    )
    payload: dict[str, str | int] = {"task_id": event.task_id}
    return Timer(id=id, due_at=event.lease_until, kind=TASK_LEASE, payload=payload, meta=meta)


def _timer_id(task_id: str, until: datetime) -> str:
    return derived_id(TASK_LEASE, task_id, timestamp(until))


def _expired(timer: Timer) -> Command:
    return ExpireTaskLease(meta=timer.meta, task_id=str(timer.payload["task_id"]), due_at=timer.due_at)


COMMANDS: Mapping[str, Callable[[Timer], Command]] = {TASK_LEASE: _expired}
"""The command that each kind of timer stands for."""
