"""``workflow_steps``: one document a step, as it stands in the workflow's latest execution.

The step's own fields are written here alone; workflows and executions hold the same ones.
"""

from collections.abc import Mapping, Sequence

from domain.event import Event, Recorded
from domain.values import timestamp
from domain.workflow import PlannedStep, StepCompleted, StepDispatched, StepFailed, WorkflowStarted
from projections.ports import Container, Json
from projections.projection import existing

StepEvent = StepDispatched | StepCompleted | StepFailed


class Steps:
    """The fold of ``workflow_steps``."""

    def __init__(self, name: str = "workflow_steps") -> None:
        self.container = Container(name, sort_field="createdAt", filter_fields=("workflowId",))

    def reads(self, event: Event) -> Sequence[str]:
        """The steps that an event is about."""
        match event:
            case WorkflowStarted():
                return [plan.step_id for plan in event.steps]
            case StepDispatched() | StepCompleted() | StepFailed():
                return [event.step_id]
        return ()

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Plan the steps, then follow each."""
        event = recorded.event
        if isinstance(event, WorkflowStarted):
            created = {"createdAt": timestamp(recorded.timestamp), "tenantId": recorded.meta.tenant}
            return {
                plan.step_id: {"id": plan.step_id, **created, **planned_step(plan, event)}
                for plan in event.steps
            }
        assert isinstance(event, StepEvent)
        return {event.step_id: changed_step(existing(documents, event.step_id), event)}


def planned_step(plan: PlannedStep, started: WorkflowStarted) -> Json:
    """A step that has not been dispatched yet."""
    return {
        "stepId": plan.step_id,
        "workflowId": started.workflow_id,
        "executionId": started.execution_id,
        "stepType": plan.step_type,
        "critical": plan.critical,
        "status": "pending",
        "attempt": 0,
    }


def changed_step(step: Json, event: StepEvent) -> Json:
    """A step after an event about it."""
    match event:
        case StepDispatched():
            kept = {name: step[name] for name in step if name not in ("result", "error", "completedAt")}
            return kept | {
                "executionId": event.execution_id,
                "status": "running",
                "attempt": event.attempt,
                "startedAt": timestamp(event.dispatched_at),
                "deadlineAt": timestamp(event.deadline_at),
            }
        case StepCompleted():
            return step | {
                "status": "completed",
                "result": event.result,
                "completedAt": timestamp(event.completed_at),
            }
        case StepFailed():
            return step | {
                "status": "failed",
                "error": event.error,
                "completedAt": timestamp(event.failed_at),
            }


def changed_steps(steps: Sequence[Json], event: StepEvent) -> list[Json]:
    """A workflow's steps after an event about one of them."""
    return [changed_step(step, event) if step["stepId"] == event.step_id else step for step in steps]
