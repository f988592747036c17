"""What a workflow does by the clock: deadlines of steps and workflows, and the next try of a step."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from application.commands import Command, PassDeadline, TimeOutStep, TryStepAgain
from application.ports import Timer, Timers
from domain.event import Event, Metadata, Recorded
from domain.lease import Lease
from domain.values import derived_id
from domain.workflow import (
    StepCancelled,
    StepCompleted,
    StepDispatched,
    StepFailed,
    StepMapped,
    WorkflowCancelled,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRetried,
    WorkflowStarted,
)

STEP_DEADLINE = "step-deadline"
STEP_RETRY = "step-retry"
WORKFLOW_DEADLINE = "workflow-deadline"
ACTOR = "system:timers"

_Dated = StepDispatched | StepMapped
_StepEnded = StepCompleted | StepFailed | StepCancelled
_Begun = WorkflowStarted | WorkflowRetried
_Ended = WorkflowCompleted | WorkflowFailed | WorkflowCancelled


class WorkflowTimers:
    """A follower's handler: keeps a timer for whatever is to happen unless something else does first."""

    name = "workflow-timers"
    may_repeat_unnoticed = False

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    def wants(self, event: Event) -> bool:
        """Whether a timer begins or ends with such an event."""
        return isinstance(event, _Dated | _StepEnded | _Begun | _Ended)

    async def start_over(self) -> None:
        """A timer of another log is refused by its workflow when it is due."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Set and cancel the batch's timers; a timer that ends within the batch is never set."""
        wanted: dict[str, Timer] = {}
        ended: set[str] = set()
        for recorded in events:
            for timer in _set_by(recorded):
                wanted[timer.id] = timer
            ended.update(_ended_by(recorded.event))
        running = [timer for timer_id, timer in wanted.items() if timer_id not in ended]
        if running or ended:
            await self._timers.change(set=running, cancel=sorted(ended), lease=lease)


def _set_by(recorded: Recorded) -> Sequence[Timer]:
    match event := recorded.event:
        case StepDispatched() | StepMapped() if event.deadline_at is not None:
            return [_step_timer(STEP_DEADLINE, recorded, event, event.deadline_at)]
        case StepFailed() if event.retry_at is not None:
            return [_step_timer(STEP_RETRY, recorded, event, event.retry_at)]
        case WorkflowStarted() | WorkflowRetried() if event.deadline_at is not None:
            payload = {"workflow_id": event.workflow_id, "execution_id": event.execution_id}
            id = derived_id(WORKFLOW_DEADLINE, event.execution_id)
            return [_timer(id, WORKFLOW_DEADLINE, event.deadline_at, payload, recorded)]
    return []


def _ended_by(event: Event) -> Sequence[str]:
    match event:
        case StepCompleted() | StepFailed() | StepCancelled():
            return [_step_timer_id(STEP_DEADLINE, event.step_id, event.attempt)]
        case WorkflowCompleted() | WorkflowFailed() | WorkflowCancelled():
            return [derived_id(WORKFLOW_DEADLINE, event.execution_id)]
    return []


def _step_timer(
    kind: str, recorded: Recorded, event: StepDispatched | StepMapped | StepFailed, due_at: datetime
) -> Timer:
    payload: dict[str, str | int] = {
        "workflow_id": event.workflow_id,
        "step_type": event.step_type,
        "attempt": event.attempt,
    }
    return _timer(_step_timer_id(kind, event.step_id, event.attempt), kind, due_at, payload, recorded)


def _timer(
    id: str, kind: str, due_at: datetime, payload: Mapping[str, str | int], recorded: Recorded
) -> Timer:
    meta = Metadata(
        tenant=recorded.meta.tenant,
        actor=ACTOR,
        correlation_id=recorded.meta.correlation_id,
        causation_id=str(recorded.event_id),
        command_id=id,
    )
    return Timer(id=id, due_at=due_at, kind=kind, payload=dict(payload), meta=meta)


def _step_timer_id(kind: str, step_id: str, attempt: int) -> str:
    return derived_id(kind, step_id, str(attempt))


def _timed_out(timer: Timer) -> Command:
    return TimeOutStep(
        meta=timer.meta,
        workflow_id=str(timer.payload["workflow_id"]),
        step=str(timer.payload["step_type"]),
        attempt=int(timer.payload["attempt"]),
        due_at=timer.due_at,
    )


def _try_again(timer: Timer) -> Command:
    return TryStepAgain(
        meta=timer.meta,
        workflow_id=str(timer.payload["workflow_id"]),
        step=str(timer.payload["step_type"]),
        attempt=int(timer.payload["attempt"]),
        due_at=timer.due_at,
    )


def _deadline_passed(timer: Timer) -> Command:
    return PassDeadline(
        meta=timer.meta,
        workflow_id=str(timer.payload["workflow_id"]),
        execution_id=str(timer.payload["execution_id"]),
        due_at=timer.due_at,
    )


COMMANDS: Mapping[str, Callable[[Timer], Command]] = {
    STEP_DEADLINE: _timed_out,
    STEP_RETRY: _try_again,
    WORKFLOW_DEADLINE: _deadline_passed,
}
"""The command that each kind of timer stands for."""
