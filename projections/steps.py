"""``workflow_steps``: one document a step, as it stands in the workflow's latest execution.

The step's own fields are written here alone; workflows and executions hold the same ones.
"""

from collections.abc import Callable, Mapping, Sequence

from domain.approval import approval_id_of
from domain.definition import StepDefinition
from domain.event import Event, Recorded
from domain.task import task_id_of
from domain.values import timestamp
from domain.workflow import (
    CHILD,
    StepCancelled,
    StepCompleted,
    StepDispatched,
    StepFailed,
    StepMapped,
    StepReopened,
    StepSettled,
    StepSkipped,
    WorkflowEvent,
    WorkflowRetried,
    WorkflowStarted,
    child_id_of,
    step_id_of,
)
from domain.workflow.step import APPROVAL, COMPENSATION, TASK
from projections.map_items import items_anew, map_step_of, mapped, with_item
from projections.ports import Container, Json
from projections.projection import existing

StepEvent = (
    StepDispatched
    | StepMapped
    | StepCompleted
    | StepFailed
    | StepSkipped
    | StepReopened
    | StepCancelled
    | StepSettled
)
"""What happens to one step."""


class Steps:
    """The fold of ``workflow_steps``."""

    category = "workflow"
    kinds = WorkflowEvent

    def __init__(self, name: str = "workflow_steps") -> None:
        self.container = Container(name, sort_field="createdAt", filter_fields=("workflowId",))

    def reads(self, event: Event) -> Sequence[str]:
        """The steps that an event is about; an item's also changes what its ``map`` step knows of it."""
        match event:
            case WorkflowStarted():
                return [step_id_of(event.workflow_id, plan.step_type) for plan in event.steps]
            case WorkflowRetried():
                return [step_id_of(event.workflow_id, step_type) for step_type in event.again]
            case StepMapped() | StepReopened() | StepSettled():
                return [event.step_id]
            case StepDispatched() | StepCompleted() | StepFailed() | StepSkipped() | StepCancelled():
                map_step = map_step_of(event)
                return [event.step_id] if map_step is None else [event.step_id, map_step]
        return ()

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Plan the steps, then follow each. Items and compensations come to be when they are dispatched."""
        event = recorded.event
        created = {"createdAt": timestamp(recorded.timestamp), "tenantId": recorded.meta.tenant}
        if isinstance(event, WorkflowStarted):
            planned = [planned_step(plan, event) for plan in event.steps]
            return {step["stepId"]: {"id": step["stepId"], **created, **step} for step in planned}
        if isinstance(event, WorkflowRetried):
            again = steps_again([existing(documents, id) for id in self.reads(event)], event)
            return {
                step["id"]: items_anew(step) if step["stepType"] in event.items_again else step
                for step in again
            }
        assert isinstance(event, StepEvent)
        if isinstance(event, StepMapped):
            return {event.step_id: mapped(changed_step(existing(documents, event.step_id), event), event)}
        if isinstance(event, StepReopened | StepSettled):
            return {event.step_id: changed_step(existing(documents, event.step_id), event)}
        if isinstance(event, StepDispatched) and event.step_id not in documents:
            step = {"id": event.step_id, **created, **_unplanned_step(event)}
        else:
            step = existing(documents, event.step_id)
        changed = {event.step_id: changed_step(step, event)}
        map_step = map_step_of(event)
        if map_step is not None:
            changed[map_step] = with_item(existing(documents, map_step), event)
        return changed


def planned_step(plan: StepDefinition, started: WorkflowStarted) -> Json:
    """A step that has not been dispatched yet."""
    return {
        "stepId": step_id_of(started.workflow_id, plan.step_type),
        "workflowId": started.workflow_id,
        "executionId": started.execution_id,
        "stepType": plan.step_type,
        "kind": plan.kind,
        "after": list(plan.after),
        "critical": plan.critical,
        "status": "pending",
        "attempt": 0,
    }


def _unplanned_step(event: StepDispatched) -> Json:
    item = {} if event.item is None else {"item": event.item}
    return {
        "stepId": event.step_id,
        "workflowId": event.workflow_id,
        "stepType": event.step_type,
        "kind": event.kind,
        "critical": False,
        **item,
    }


def changed_step(step: Json, event: StepEvent) -> Json:
    """A step after an event about it."""
    if isinstance(event, StepSettled):
        return step if event.error is None else step | {"error": event.error}
    step = {name: step[name] for name in step if name not in ("retryAt", "reason")}
    match event:
        case StepDispatched() | StepMapped():
            return _begun(step, event)
        case StepCompleted():
            step.pop("error", None)
            return step | {
                "status": "completed",
                "result": event.result,
                "completedAt": timestamp(event.completed_at),
            }
        case StepFailed():
            failed = step | {
                "status": "failed",
                "error": event.error,
                "reason": event.reason,
                "completedAt": timestamp(event.failed_at),
            }
            if event.reason == "rejected":
                for name in _NEVER_BEGAN:
                    failed.pop(name, None)
            if event.retry_at is None:
                return failed
            return failed | {"status": "retrying", "retryAt": timestamp(event.retry_at)}
        case StepSkipped():
            return step | {
                "status": "skipped",
                "reason": event.reason,
                "completedAt": timestamp(event.skipped_at),
            }
        case StepReopened():
            return _pending_again(step, event)
        case StepCancelled():
            return step | {"status": "cancelled", "completedAt": timestamp(event.cancelled_at)}


def _begun(step: Json, event: StepDispatched | StepMapped) -> Json:
    kept = {name: step[name] for name in step if name not in _OF_THE_ATTEMPT_BEFORE}
    began_at = event.dispatched_at if isinstance(event, StepDispatched) else event.mapped_at
    begun = kept | {
        "executionId": event.execution_id,
        "status": "running",
        "attempt": event.attempt,
        "startedAt": timestamp(began_at),
    }
    if event.deadline_at is not None:
        begun["deadlineAt"] = timestamp(event.deadline_at)
    if isinstance(event, StepMapped):
        begun["items"] = len(event.elements)
        return begun
    if event.kind in _LEADS_TO and not event.void:
        name, id_of = _LEADS_TO[event.kind]
        begun[name] = id_of(event.step_id, event.attempt)
    if event.input:
        begun["input"] = event.input
    return begun


_LEADS_TO: Mapping[str, tuple[str, Callable[[str, int], str]]] = {
    CHILD: ("childWorkflowId", child_id_of),
    APPROVAL: ("approvalId", approval_id_of),
    TASK: ("taskId", task_id_of),
}
"""What a kind of step makes at each dispatch: how it is called in the step, and its id."""

_NEVER_BEGAN = ("childWorkflowId", "approvalId")
"""What there is not of a step that was rejected: its input was no good."""

_OF_THE_ATTEMPT_BEFORE = (
    "result",
    "error",
    "completedAt",
    "deadlineAt",
    "input",
    *(name for name, _ in _LEADS_TO.values()),
)


def changed_steps(steps: Sequence[Json], event: StepEvent) -> list[Json]:
    """A workflow's steps after an event about one of them."""
    return [changed_step(step, event) if step["stepId"] == event.step_id else step for step in steps]


def steps_again(steps: Sequence[Json], event: WorkflowRetried) -> list[Json]:
    """A workflow's steps when its next execution is opened."""
    return [_pending_again(step, event) if step["stepType"] in event.again else step for step in steps]


def is_of_the_plan(event: StepEvent) -> bool:
    """Whether the step stands in the plan: it is neither an item nor a compensation."""
    return not event.step_type.endswith(("]", COMPENSATION))


def _pending_again(step: Json, event: WorkflowRetried | StepReopened) -> Json:
    kept = {name: step[name] for name in step if name not in (*_OF_THE_ATTEMPT_BEFORE, "startedAt", "reason")}
    return kept | {"status": "pending", "executionId": event.execution_id}
