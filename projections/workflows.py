"""``workflow_workflows``: one document a workflow, what ``GET /workflows/{workflowId}`` answers."""

from collections.abc import Mapping, Sequence

from domain.event import Event, Recorded
from domain.values import timestamp
from domain.workflow import (
    StepCompleted,
    StepDispatched,
    StepFailed,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRetried,
    WorkflowStarted,
)
from projections.ports import Container, Json
from projections.projection import existing
from projections.steps import changed_steps, planned_step


class Workflows:
    """The fold of ``workflow_workflows``."""

    def __init__(self, name: str = "workflow_workflows") -> None:
        self.container = Container(
            name, sort_field="createdAt", filter_fields=("opportunityId", "status", "definition")
        )

    def reads(self, event: Event) -> Sequence[str]:
        """The workflow that an event is about."""
        match event:
            case (
                WorkflowStarted()
                | StepDispatched()
                | StepCompleted()
                | StepFailed()
                | WorkflowCompleted()
                | WorkflowFailed()
                | WorkflowRetried()
            ):
                return [event.workflow_id]
        return ()

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Follow the workflow."""
        now = timestamp(recorded.timestamp)
        if isinstance(recorded.event, WorkflowStarted):
            return {recorded.event.workflow_id: _started(recorded.event, recorded.meta.tenant, now)}
        (workflow_id,) = self.reads(recorded.event)
        workflow = existing(documents, workflow_id)
        return {workflow_id: _changed(workflow, recorded.event) | {"updatedAt": now}}


def _started(event: WorkflowStarted, tenant: str, now: str) -> Json:
    workflow: Json = {
        "id": event.workflow_id,
        "workflowId": event.workflow_id,
        "tenantId": tenant,
        "opportunityId": event.opportunity_id,
        "definition": event.definition,
        "definitionVersion": event.definition_version,
        "executionId": event.execution_id,
        "status": "running",
        "steps": [planned_step(plan, event) for plan in event.steps],
        "startedAt": timestamp(event.started_at),
        "createdAt": now,
        "updatedAt": now,
    }
    if event.input is not None:
        workflow["input"] = event.input
    return workflow


def _changed(workflow: Json, event: Event) -> Json:
    match event:
        case StepDispatched() | StepCompleted() | StepFailed():
            workflow["steps"] = changed_steps(workflow["steps"], event)
        case WorkflowCompleted() | WorkflowFailed():
            workflow.update(ending(event))
        case WorkflowRetried():
            for name in ("results", "error", "failedStep", "completedAt"):
                workflow.pop(name, None)
            workflow.update(status="running", executionId=event.execution_id)
    return workflow


def ending(event: WorkflowCompleted | WorkflowFailed) -> Json:
    """How a workflow, or one of its executions, ended."""
    if isinstance(event, WorkflowCompleted):
        return {
            "status": "completed",
            "results": event.results,
            "completedAt": timestamp(event.completed_at),
        }
    return {
        "status": "failed",
        "error": event.error,
        "failedStep": event.failed_step,
        "completedAt": timestamp(event.failed_at),
    }
