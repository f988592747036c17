"""Keeps timers for a part of the log: for workflows, tasks, approvals and jobs alike."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime

from application.ports import Timer, Timers
from domain.event import Event, Recorded
from domain.interest import Interest
from domain.lease import Lease

ACTOR = "system:timers"

TIMERS_REST_SECONDS = 0.05
"""The pause between two reads of the log. Due timers are looked for once a second, so nobody waits for a
timer to be set, and one write sets all that began meanwhile."""


class TimerKeeper(ABC):
    """A follower's handler that keeps a timer for what happens unless something else happens first."""

    name: str
    wants: Interest
    """The events with which a timer begins or ends."""
    may_repeat_unnoticed = True

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    @abstractmethod
    def begun(self, recorded: Recorded) -> Sequence[Timer]:
        """Return the timers that begin with an event."""

    @abstractmethod
    def ended(self, event: Event) -> Sequence[str]:
        """Return the ids of the timers that end with an event."""

    async def start_over(self) -> None:
        """Do nothing: a timer of another log has nothing to do when it is due."""
        return

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Set and cancel the batch's timers. One that ends within the batch is never set."""
        wanted: dict[str, Timer] = {}
        ended: set[str] = set()
        for recorded in events:
            wanted.update((timer.id, timer) for timer in self.begun(recorded))
            ended.update(self.ended(recorded.event))
        running = [timer for timer_id, timer in wanted.items() if timer_id not in ended]
        if running or ended:
            await self._timers.change(set=running, cancel=sorted(ended), lease=lease)


def timer_of(
    recorded: Recorded,
    *,
    id: str,
    kind: str,
    due_at: datetime,
    payload: Mapping[str, str | int],
    actor: str = ACTOR,
) -> Timer:
    """Return a timer that begins with an event. Its command has its id, so that it takes effect once."""
    meta, version = recorded.leads_to(id, actor=actor), recorded.version
    return Timer(id=id, due_at=due_at, kind=kind, payload=dict(payload), meta=meta, version=version)
