"""``workflow_executions``: one document an execution, that is, an attempt at a workflow."""

from collections.abc import Mapping, Sequence

from domain.event import Event, Recorded
from domain.values import timestamp
from domain.workflow import (
    CompensationBegan,
    WorkflowCancelled,
    WorkflowEvent,
    WorkflowPaused,
    WorkflowQueued,
    WorkflowResumed,
    WorkflowRetried,
    WorkflowStarted,
)
from projections.ports import Container, Json
from projections.projection import existing
from projections.steps import (
    StepEvent,
    changed_steps,
    is_of_the_plan,
    planned_step,
    steps_again,
)
from projections.workflows import Ending, ended


class Executions:
    """The fold of ``workflow_executions``."""

    category = "workflow"
    kinds = WorkflowEvent

    def __init__(self, name: str = "workflow_executions") -> None:
        self.container = Container(name, sort_field="startedAt", filter_fields=("workflowId", "status"))

    def reads(self, event: Event) -> Sequence[str]:
        """The execution that an event belongs to; a retry also reads the one before."""
        if isinstance(event, WorkflowRetried):
            return [event.execution_id, event.previous_execution_id]
        if isinstance(event, WorkflowQueued) or (isinstance(event, StepEvent) and not is_of_the_plan(event)):
            return ()
        return [event.execution_id] if isinstance(event, WorkflowEvent) else ()

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Follow each execution; a new one begins with the steps of the one before."""
        tenant = recorded.meta.tenant
        match event := recorded.event:
            case WorkflowCancelled() if event.execution_id not in documents:
                return {}  # it waited, and never began
            case WorkflowStarted():
                steps = [planned_step(plan, event) for plan in event.steps]
                began = _execution(event.execution_id, event.workflow_id, tenant, 1, steps)
                return {event.execution_id: began | {"startedAt": timestamp(event.started_at)}}
            case WorkflowRetried():
                steps = steps_again(existing(documents, event.previous_execution_id)["steps"], event)
                began = _execution(event.execution_id, event.workflow_id, tenant, event.attempt, steps)
                status = "compensating" if event.compensates else "running"
                times = {"startedAt": timestamp(event.retried_at), "status": status}
                return {event.execution_id: began | times}
            case WorkflowPaused() | WorkflowResumed():
                status = "paused" if isinstance(event, WorkflowPaused) else "running"
                return {event.execution_id: existing(documents, event.execution_id) | {"status": status}}
        if isinstance(event, StepEvent):
            execution = existing(documents, event.execution_id)
            return {event.execution_id: execution | {"steps": changed_steps(execution["steps"], event)}}
        if isinstance(event, Ending | CompensationBegan):
            return {event.execution_id: ended(existing(documents, event.execution_id), event)}
        return {}


def _execution(execution_id: str, workflow_id: str, tenant: str, attempt: int, steps: list[Json]) -> Json:
    return {
        "id": execution_id,
        "executionId": execution_id,
        "workflowId": workflow_id,
        "tenantId": tenant,
        "attempt": attempt,
        "status": "running",
        "steps": steps,
    }
