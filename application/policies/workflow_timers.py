"""Timers of a workflow: deadlines of steps and workflows, and the next try of a step."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from application.command import Command
from application.policies.timer_keeper import TimerKeeper, timer_of
from application.ports import Timer
from application.workflow_commands import PassDeadline, TimeOutStep, TryStepAgain
from domain.event import Event, Recorded
from domain.interest import Interest
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

_Dated = StepDispatched | StepMapped
_StepEnded = StepCompleted | StepFailed | StepCancelled
_Begun = WorkflowStarted | WorkflowRetried
_Ended = WorkflowCompleted | WorkflowFailed | WorkflowCancelled


class WorkflowTimers(TimerKeeper):
    """Keeps the timers of workflows and of their steps."""

    name = "workflow-timers"
    wants = Interest(_Dated | _StepEnded | _Begun | _Ended)

    def begun(self, recorded: Recorded) -> Sequence[Timer]:
        """Return the timers for deadlines and next tries."""
        match event := recorded.event:
            case StepDispatched() | StepMapped() if event.deadline_at is not None:
                return [_step_timer(STEP_DEADLINE, recorded, event, event.deadline_at)]
            case StepFailed() if event.retry_at is not None:
                return [_step_timer(STEP_RETRY, recorded, event, event.retry_at)]
            case WorkflowStarted() | WorkflowRetried() if event.deadline_at is not None:
                payload = {"workflow_id": event.workflow_id, "execution_id": event.execution_id}
                id = derived_id(WORKFLOW_DEADLINE, event.execution_id)
                return [
                    timer_of(
                        recorded, id=id, kind=WORKFLOW_DEADLINE, due_at=event.deadline_at, payload=payload
                    )
                ]
        return []

    def ended(self, event: Event) -> Sequence[str]:
        """Return the deadlines of what has ended."""
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
    id = _step_timer_id(kind, event.step_id, event.attempt)
    return timer_of(recorded, id=id, kind=kind, due_at=due_at, payload=payload)


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
