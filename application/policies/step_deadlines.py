"""When a step is dispatched, set its deadline; when it has ended, cancel it."""

from collections.abc import Sequence

from application.commands import Command, TimeOutStep
from application.ports import Timer, Timers
from domain.event import Event, Metadata, Recorded
from domain.lease import Lease
from domain.values import derived_id
from domain.workflow import StepCompleted, StepDispatched, StepFailed

TIMER_KIND = "step-deadline"
ACTOR = "system:step-deadlines"


class StepDeadlines:
    """A follower's handler: keeps one timer for each dispatch that waits for an answer."""

    name = "step-deadlines"
    may_repeat_unnoticed = False

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    def wants(self, event: Event) -> bool:
        """Whether a deadline begins or ends with such an event."""
        return isinstance(event, StepDispatched | StepCompleted | StepFailed)

    async def start_over(self) -> None:
        """A timer of another log is refused by its workflow when it is due."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Set and cancel the batch's timers; a timer that ends within the batch is never set."""
        wanted: dict[str, Timer] = {}
        ended: set[str] = set()
        for recorded in events:
            match event := recorded.event:
                case StepDispatched():
                    timer_id = _timer_id(event.step_id, event.attempt)
                    wanted[timer_id] = _timer(timer_id, recorded, event)
                case StepCompleted() | StepFailed():
                    ended.add(_timer_id(event.step_id, event.attempt))
        running = [timer for timer_id, timer in wanted.items() if timer_id not in ended]
        if running or ended:
            await self._timers.change(set=running, cancel=sorted(ended), lease=lease)


def timed_out(timer: Timer) -> Command:
    """The command that a due deadline stands for."""
    return TimeOutStep(
        meta=timer.meta,
        workflow_id=str(timer.payload["workflow_id"]),
        step_type=str(timer.payload["step_type"]),
        attempt=int(timer.payload["attempt"]),
        due_at=timer.due_at,
    )


def _timer(timer_id: str, recorded: Recorded, event: StepDispatched) -> Timer:
    return Timer(
        id=timer_id,
        due_at=event.deadline_at,
        kind=TIMER_KIND,
        payload={
            "workflow_id": event.workflow_id,
            "step_type": event.step_type,
            "attempt": event.attempt,
        },
        meta=Metadata(
            tenant=recorded.meta.tenant,
            actor=ACTOR,
            correlation_id=recorded.meta.correlation_id,
            causation_id=str(recorded.event_id),
            command_id=timer_id,
        ),
    )


def _timer_id(step_id: str, attempt: int) -> str:
    return derived_id(TIMER_KIND, step_id, str(attempt))
