"""What keeps timers for a part of the log: the same for workflows, tasks, approvals and jobs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime

from application.ports import Timer, Timers
from domain.event import Event, Recorded
from domain.interest import Interest
from domain.lease import Lease

ACTOR = "system:timers"

TIMERS_REST_SECONDS = 0.05
"""Between two looks at the log. What is due is looked for once a second, so nobody waits for a timer to be
set, and one write sets as many as begin meanwhile."""


class TimerKeeper(ABC):
    """A follower's handler: keeps a timer for whatever is to happen unless something else does first."""

    name: str
    wants: Interest
    """The events with which a timer begins or ends."""
    may_repeat_unnoticed = True

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    @abstractmethod
    def begun(self, recorded: Recorded) -> Sequence[Timer]:
        """The timers that begin with an event."""

    @abstractmethod
    def ended(self, event: Event) -> Sequence[str]:
        """The ids of those that end with it."""

    async def start_over(self) -> None:
        """Forget nothing: a timer of another log finds nothing to do when it is due."""
        return

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Set and cancel the batch's timers; one that ends within the batch is never set."""
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
