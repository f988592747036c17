"""``workflow_workflows``: one document a workflow, what ``GET /workflows/{workflowId}`` answers."""

from collections.abc import Mapping, Sequence

from domain.event import Event, Recorded
from domain.values import timestamp
from domain.workflow import (
    CompensationBegan,
    CompensationFailed,
    WorkflowCancelled,
    WorkflowCompensated,
    WorkflowCompleted,
    WorkflowEvent,
    WorkflowFailed,
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

Ending = WorkflowCompleted | WorkflowFailed | WorkflowCancelled | WorkflowCompensated | CompensationFailed


class Workflows:
    """The fold of ``workflow_workflows``."""

    category = "workflow"
    kinds = WorkflowEvent

    def __init__(self, name: str = "workflow_workflows") -> None:
        self.container = Container(
            name,
            sort_field="createdAt",
            filter_fields=("opportunityId", "status", "definition"),
            filters_together=(("definition", "status"),),
        )

    def reads(self, event: Event) -> Sequence[str]:
        """The workflow that an event is about. Those of an item, and of a compensation, change nothing in it
        but its version, which a command may demand.
        """
        return [event.workflow_id] if isinstance(event, WorkflowEvent) else ()

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Follow the workflow."""
        now = timestamp(recorded.timestamp)
        if isinstance(recorded.event, WorkflowQueued):
            return {recorded.event.workflow_id: _queued(recorded.event, recorded.meta.tenant, now)}
        if isinstance(recorded.event, WorkflowStarted):
            created = documents.get(recorded.event.workflow_id, {}).get("createdAt", now)
            began = _started(recorded.event, recorded.meta.tenant, now) | {"createdAt": created}
            return {recorded.event.workflow_id: began}
        (workflow_id,) = self.reads(recorded.event)
        workflow = existing(documents, workflow_id)
        return {workflow_id: _changed(workflow, recorded.event) | {"updatedAt": now}}


def _queued(event: WorkflowQueued, tenant: str, now: str) -> Json:
    return _asked_for(event, tenant) | {"status": "pending", "steps": [], "createdAt": now, "updatedAt": now}


def _started(event: WorkflowStarted, tenant: str, now: str) -> Json:
    workflow = _asked_for(event, tenant) | {
        "status": "running",
        "steps": [planned_step(plan, event) for plan in event.steps],
        "startedAt": timestamp(event.started_at),
        "createdAt": now,
        "updatedAt": now,
    }
    if event.deadline_at is not None:
        workflow["deadlineAt"] = timestamp(event.deadline_at)
    if event.parent is not None:
        workflow["parent"] = {"workflowId": event.parent.workflow_id, "stepId": event.parent.step_id}
    return workflow


def _asked_for(event: WorkflowQueued | WorkflowStarted, tenant: str) -> Json:
    return {
        "id": event.workflow_id,
        "workflowId": event.workflow_id,
        "tenantId": tenant,
        **({"opportunityId": event.opportunity_id} if event.opportunity_id else {}),
        "definition": event.definition,
        "definitionVersion": event.definition_version,
        "executionId": event.execution_id,
        **({"input": event.input} if event.input is not None else {}),
    }


def _changed(workflow: Json, event: Event) -> Json:
    if isinstance(event, StepEvent):
        if not is_of_the_plan(event):
            return workflow
        return workflow | {"steps": changed_steps(workflow["steps"], event)}
    if isinstance(event, WorkflowFailed):
        return ended(_without_reason(workflow), event)
    if isinstance(event, Ending | CompensationBegan):
        return ended(workflow, event)
    match event:
        case WorkflowPaused():
            return workflow | {"status": "paused"} | ({"reason": event.reason} if event.reason else {})
        case WorkflowResumed():
            return _without_reason(workflow) | {"status": "running"}
        case WorkflowRetried():
            return _retried(workflow, event)
    return workflow


def _retried(workflow: Json, event: WorkflowRetried) -> Json:
    over = _OF_THE_UNDOING_BEFORE if event.compensates else _OF_THE_EXECUTION_BEFORE
    kept = {name: workflow[name] for name in workflow if name not in over}
    kept |= {
        "status": "compensating" if event.compensates else "running",
        "executionId": event.execution_id,
        "steps": steps_again(workflow["steps"], event),
    }
    if event.input is not None:
        kept["input"] = event.input
    if event.deadline_at is not None:
        kept["deadlineAt"] = timestamp(event.deadline_at)
    return kept


def _without_reason(workflow: Json) -> Json:
    """The reason of a pause is over with it."""
    return {name: workflow[name] for name in workflow if name != "reason"}


_OF_THE_UNDOING_BEFORE = ("error", "failedStep", "completedAt", "deadlineAt")
_OF_THE_EXECUTION_BEFORE = ("results", "reason", *_OF_THE_UNDOING_BEFORE)


def ended(document: Json, event: Ending | CompensationBegan) -> Json:
    """A workflow, or one of its executions, as it ended; while what it did is being undone it has not."""
    over = {"completedAt"}
    if isinstance(event, WorkflowCompensated) and (event.failure is not None or "reason" in document):
        over |= {"error", "failedStep"}  # those of a compensation: the event says why it had failed
    kept = {name: value for name, value in document.items() if name not in over}
    return kept | _ending(event)


def _ending(event: Ending | CompensationBegan) -> Json:
    match event:
        case WorkflowCompleted():
            return {
                "status": "completed",
                "results": event.results,
                "completedAt": timestamp(event.completed_at),
            }
        case WorkflowFailed():
            failed_step = {"failedStep": event.failed_step} if event.failed_step else {}
            return {
                "status": "failed",
                "error": event.error,
                **failed_step,
                "completedAt": timestamp(event.failed_at),
            }
        case WorkflowCancelled():
            return {
                "status": "cancelled",
                "reason": event.reason,
                "completedAt": timestamp(event.cancelled_at),
            }
        case CompensationBegan():
            return {"status": "compensating"}
        case WorkflowCompensated():
            failure = {"error": event.failure, "failedStep": event.failed_step}
            why = {name: value for name, value in failure.items() if value is not None}
            return {"status": "compensated", "completedAt": timestamp(event.compensated_at), **why}
        case CompensationFailed():
            return {
                "status": "compensation_failed",
                "error": event.error,
                "failedStep": event.failed_step,
                "completedAt": timestamp(event.failed_at),
            }
