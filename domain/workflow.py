"""WorkflowExecution: one workflow over all its executions.

An execution is one attempt; a retry opens the next one, keeps what completed and dispatches again
what failed. A step still waiting for its answer when its execution fails goes on waiting: its
answer is kept, and a retry does not ask for it twice.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from domain.definition import WorkflowDefinition
from domain.errors import NothingFailed, WorkflowNotEnded
from domain.event import Event, stored_as
from domain.values import StreamName, derived_id

WorkflowStatus = Literal["running", "completed", "failed"]
StepStatus = Literal["pending", "running", "completed", "failed"]
FailureReason = Literal["reported", "timed_out"]


def workflow_stream(tenant: str, workflow_id: str) -> str:
    """The name of a workflow's stream."""
    return str(StreamName(tenant, "workflow", workflow_id))


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the definition as the workflow is pinned to it."""

    step_id: str
    step_type: str
    request_type: str
    result_key: str
    critical: bool
    timeout_seconds: float


@stored_as("workflow.started")
class WorkflowStarted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A workflow began, with the plan that it keeps whatever becomes of the definition."""

    workflow_id: str
    opportunity_id: str
    definition: str
    definition_version: int
    execution_id: str
    steps: tuple[PlannedStep, ...]
    started_at: datetime
    input: Mapping[str, Any] | None = None


@stored_as("workflow.step_dispatched")
class StepDispatched(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step's request goes out; without an answer it fails at ``deadline_at``."""

    workflow_id: str
    opportunity_id: str
    execution_id: str
    step_id: str
    step_type: str
    request_type: str
    attempt: int
    dispatched_at: datetime
    deadline_at: datetime


@stored_as("workflow.step_completed")
class StepCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step's answer has come."""

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    attempt: int
    result: Mapping[str, Any]
    completed_at: datetime


@stored_as("workflow.step_failed")
class StepFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step was reported as failed, or never answered."""

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    attempt: int
    error: str
    reason: FailureReason
    failed_at: datetime


@stored_as("workflow.completed")
class WorkflowCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Every step has ended and no critical one failed."""

    workflow_id: str
    opportunity_id: str
    execution_id: str
    results: Mapping[str, Any]
    completed_at: datetime


@stored_as("workflow.failed")
class WorkflowFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A critical step failed."""

    workflow_id: str
    opportunity_id: str
    execution_id: str
    error: str
    failed_step: str
    failed_at: datetime


@stored_as("workflow.retried")
class WorkflowRetried(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The next execution was opened."""

    workflow_id: str
    execution_id: str
    previous_execution_id: str
    attempt: int
    retried_at: datetime


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules need to know of a step. ``attempt`` counts its dispatches."""

    plan: PlannedStep
    status: StepStatus = "pending"
    attempt: int = 0
    deadline_at: datetime | None = None
    result: Mapping[str, Any] | None = None


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules need to know of a workflow."""

    workflow_id: str
    opportunity_id: str
    execution_id: str
    attempt: int
    status: WorkflowStatus
    steps: tuple[Step, ...]

    def step(self, step_type: str) -> Step | None:
        """The step of that type, if the plan has one."""
        return next((step for step in self.steps if step.plan.step_type == step_type), None)


def start(
    definition: WorkflowDefinition,
    *,
    workflow_id: str,
    opportunity_id: str,
    input: Mapping[str, Any] | None,
    now: datetime,
) -> tuple[Event, ...]:
    """Begin a workflow: all steps go out together."""
    planned = tuple(
        PlannedStep(
            step_id=derived_id("step", workflow_id, step.step_type),
            step_type=step.step_type,
            request_type=step.request_type,
            result_key=step.result_key,
            critical=step.critical,
            timeout_seconds=step.timeout.total_seconds(),
        )
        for step in definition.steps
    )
    started = WorkflowStarted(
        workflow_id=workflow_id,
        opportunity_id=opportunity_id,
        definition=definition.name,
        definition_version=definition.version,
        execution_id=_execution_id(workflow_id, 1),
        steps=planned,
        started_at=now,
        input=input,
    )
    state = evolve(None, started)
    return (started, *(_dispatch(state, step, now) for step in state.steps))


def complete_step(
    state: Workflow, *, step_type: str, result: Mapping[str, Any], now: datetime
) -> tuple[Event, ...]:
    """Take a step's answer; one that nobody waits for changes nothing."""
    step = state.step(step_type)
    if step is None or step.status != "running":
        return ()
    completed = StepCompleted(
        workflow_id=state.workflow_id,
        execution_id=state.execution_id,
        step_id=step.plan.step_id,
        step_type=step_type,
        attempt=step.attempt,
        result=result,
        completed_at=now,
    )
    return (completed, *_ending(evolve(state, completed), now))


def fail_step(state: Workflow, *, step_type: str, error: str, now: datetime) -> tuple[Event, ...]:
    """Take the report of a step's failure; a critical step's fails the workflow at once."""
    step = state.step(step_type)
    if step is None or step.status != "running":
        return ()
    return _fail(state, step, error, "reported", now)


def time_out_step(state: Workflow, *, step_type: str, attempt: int, now: datetime) -> tuple[Event, ...]:
    """Give up on a step that has not answered that ``attempt`` by its deadline."""
    step = state.step(step_type)
    if step is None or step.status != "running" or step.attempt != attempt:
        return ()
    assert step.deadline_at is not None
    if now < step.deadline_at:
        return ()
    error = f"no answer within {step.plan.timeout_seconds:g} s"
    return _fail(state, step, error, "timed_out", now)


def retry(state: Workflow, *, now: datetime) -> tuple[Event, ...]:
    """Open the next execution: dispatch again what failed, keep what completed.

    Raises:
        WorkflowNotEnded: the present execution still runs.
        NothingFailed: there is nothing to dispatch again.
    """
    if state.status == "running":
        raise WorkflowNotEnded("the workflow is still running", {"status": state.status})
    failed = [step for step in state.steps if step.status == "failed"]
    if not failed:
        raise NothingFailed("no step of the workflow has failed", {"status": state.status})
    retried = WorkflowRetried(
        workflow_id=state.workflow_id,
        execution_id=_execution_id(state.workflow_id, state.attempt + 1),
        previous_execution_id=state.execution_id,
        attempt=state.attempt + 1,
        retried_at=now,
    )
    after = evolve(state, retried)
    return (retried, *(_dispatch(after, step, now) for step in failed))


def evolve(state: Workflow | None, event: Event) -> Workflow:
    """The workflow after ``event``."""
    if isinstance(event, WorkflowStarted):
        return Workflow(
            workflow_id=event.workflow_id,
            opportunity_id=event.opportunity_id,
            execution_id=event.execution_id,
            attempt=1,
            status="running",
            steps=tuple(Step(plan=plan) for plan in event.steps),
        )
    if state is None:
        raise TypeError(f"{event!r} cannot begin a workflow")
    replace = msgspec.structs.replace
    match event:
        case StepDispatched():
            return _with_step(
                state,
                event.step_id,
                status="running",
                attempt=event.attempt,
                deadline_at=event.deadline_at,
                result=None,
            )
        case StepCompleted():
            return _with_step(state, event.step_id, status="completed", result=event.result)
        case StepFailed():
            return _with_step(state, event.step_id, status="failed")
        case WorkflowCompleted():
            return replace(state, status="completed")
        case WorkflowFailed():
            return replace(state, status="failed")
        case WorkflowRetried():
            return replace(state, status="running", execution_id=event.execution_id, attempt=event.attempt)
    raise TypeError(f"{event!r} is no event of a workflow")


def _with_step(state: Workflow, step_id: str, **changes: Any) -> Workflow:
    steps = tuple(
        msgspec.structs.replace(step, **changes) if step.plan.step_id == step_id else step
        for step in state.steps
    )
    return msgspec.structs.replace(state, steps=steps)


def _dispatch(state: Workflow, step: Step, now: datetime) -> StepDispatched:
    return StepDispatched(
        workflow_id=state.workflow_id,
        opportunity_id=state.opportunity_id,
        execution_id=state.execution_id,
        step_id=step.plan.step_id,
        step_type=step.plan.step_type,
        request_type=step.plan.request_type,
        attempt=step.attempt + 1,
        dispatched_at=now,
        deadline_at=now + timedelta(seconds=step.plan.timeout_seconds),
    )


def _fail(state: Workflow, step: Step, error: str, reason: FailureReason, now: datetime) -> tuple[Event, ...]:
    failed = StepFailed(
        workflow_id=state.workflow_id,
        execution_id=state.execution_id,
        step_id=step.plan.step_id,
        step_type=step.plan.step_type,
        attempt=step.attempt,
        error=error,
        reason=reason,
        failed_at=now,
    )
    if step.plan.critical and state.status == "running":
        ended = WorkflowFailed(
            workflow_id=state.workflow_id,
            opportunity_id=state.opportunity_id,
            execution_id=state.execution_id,
            error=error,
            failed_step=step.plan.step_type,
            failed_at=now,
        )
        return (failed, ended)
    return (failed, *_ending(evolve(state, failed), now))


def _ending(state: Workflow, now: datetime) -> tuple[Event, ...]:
    """The workflow's completion, once every step of a running execution has ended."""
    if state.status != "running" or any(step.status in ("pending", "running") for step in state.steps):
        return ()
    results = {step.plan.result_key: step.result for step in state.steps if step.status == "completed"}
    return (
        WorkflowCompleted(
            workflow_id=state.workflow_id,
            opportunity_id=state.opportunity_id,
            execution_id=state.execution_id,
            results=results,
            completed_at=now,
        ),
    )


def _execution_id(workflow_id: str, attempt: int) -> str:
    return derived_id("execution", workflow_id, str(attempt))
