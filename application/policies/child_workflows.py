"""Steps of kind ``workflow``: a definition is run for the step, with the step's input as its own.

With ``await`` (the default) the step waits for the child's end, and the child's results become the step's
result. Without it, the step is completed as soon as the child is to begin. A child is cancelled if its
parent's step is cancelled, or fails without it. A step that is retried gets a new child.

A child has ended once its effects are undone, as far as possible. The step is told of that even if it no
longer waits (ADR 42).
"""

from collections.abc import Sequence

from application.command import Command
from application.inputs import OPPORTUNITY
from application.lineage import CHILD_POLICY
from application.policies.reaction import because_of
from application.workflow_commands import CancelWorkflow, CompleteStep, FailStep, StartWorkflow
from domain.errors import Refusal, WorkflowNotRunning
from domain.event import Recorded
from domain.interest import Interest
from domain.values import StepRef, is_id
from domain.workflow import (
    CHILD,
    CompensationFailed,
    StepCancelled,
    StepDispatched,
    StepFailed,
    StepSettled,
    WorkflowCancelled,
    WorkflowCompensated,
    WorkflowCompleted,
    WorkflowEnding,
    WorkflowFailed,
    child_id_of,
)

MOST_DEPTH = 8
"""Ends a definition that runs itself."""

MOST_BREADTH = 20_000
"""How many workflows of one start there may be at one depth: children that have children multiply."""


class ChildWorkflows:
    """Starts workflows for steps, and passes their outcomes to the steps."""

    name = CHILD_POLICY
    wants = (
        Interest(StepDispatched, where=lambda event: event.kind == CHILD and not event.void)
        | Interest(StepCancelled | StepFailed, where=lambda event: event.kind == CHILD)
        | Interest(WorkflowEnding, where=lambda event: event.parent is not None)
    )
    """Steps of this kind, and ends of workflows that a step waits for."""

    def commands(self, recorded: Recorded) -> Sequence[Command]:
        """Start a child, cancel it, or pass its end on."""
        match event := recorded.event:
            case StepDispatched():
                return self._start(recorded, event)
            case StepCancelled():
                return [self._cancel(recorded, event, "its parent's step was cancelled")]
            case StepFailed(reason="timed_out"):
                return [self._cancel(recorded, event, "it did not end within the time of its parent's step")]
            case StepFailed() if not self._came_by_its_child(recorded, event):
                return [self._cancel(recorded, event, "its parent's step has failed")]
        if isinstance(event, WorkflowEnding) and event.parent is not None:
            return [self._pass_on(recorded, event, event.parent)]
        return []

    def after_refusal(self, recorded: Recorded, refusal: Refusal) -> Sequence[Command]:
        """A step fails if its child cannot be started. A child that cannot be cancelled because it has ended
        reports that itself. If there is no child, or none any more, the step has nothing to wait for."""
        match event := recorded.event:
            case StepDispatched():
                return [self._fail(recorded, event, refusal.in_a_line, "refused")]
            case StepCancelled() | StepFailed() if not isinstance(refusal, WorkflowNotRunning):
                return [self._fail(recorded, event, refusal.in_a_line, "settled")]
        return []

    def _came_by_its_child(self, recorded: Recorded, event: StepFailed) -> bool:
        """Return whether the child itself has failed the step. The step may have been retried since."""
        return recorded.meta.actor == f"system:{self.name}" and event.reason == "reported"

    def _start(self, recorded: Recorded, event: StepDispatched) -> Sequence[Command]:
        if event.depth >= MOST_DEPTH:
            return [self._fail(recorded, event, f"workflows can be nested at most {MOST_DEPTH} deep")]
        if event.breadth > MOST_BREADTH:
            error = f"{event.breadth} workflows would be started side by side; at most {MOST_BREADTH} may"
            return [self._fail(recorded, event, error)]
        opportunity_id = event.input.get(OPPORTUNITY)
        if opportunity_id and not is_id(opportunity_id):
            return [self._fail(recorded, event, f"{OPPORTUNITY}: is not a valid opportunity id")]
        child_id = child_id_of(event.step_id, event.attempt)
        parent = StepRef(workflow_id=event.workflow_id, step_id=event.step_id, attempt=event.attempt)
        awaited = event.parameters.get("await", True)
        start = StartWorkflow(
            meta=because_of(recorded, self.name),
            workflow_id=child_id,
            opportunity_id=opportunity_id or event.opportunity_id,
            definition=event.parameters["definition"],
            version=event.parameters.get("version"),
            input=event.input,
            parent=parent if awaited else None,
            depth=event.depth + 1,
            breadth=event.breadth,
            begun_by=event.workflow_id,
        )
        if awaited:
            return [start]
        done = CompleteStep(
            meta=because_of(recorded, self.name, "done"),
            workflow_id=event.workflow_id,
            step=event.step_id,
            attempt=event.attempt,
            result={"workflowId": child_id},
        )
        return [start, done]

    def _cancel(self, recorded: Recorded, event: StepCancelled | StepFailed, reason: str) -> CancelWorkflow:
        return CancelWorkflow(
            meta=because_of(recorded, self.name),
            workflow_id=child_id_of(event.step_id, event.attempt),
            reason=reason,
            may_do_all=True,
        )

    def _pass_on(self, recorded: Recorded, event: WorkflowEnding, parent: StepRef) -> Command:
        if isinstance(event, WorkflowCompleted):
            return CompleteStep(
                meta=because_of(recorded, self.name),
                workflow_id=parent.workflow_id,
                step=parent.step_id,
                attempt=parent.attempt,
                result={"workflowId": event.workflow_id, "results": event.results},
            )
        return FailStep(
            meta=because_of(recorded, self.name),
            workflow_id=parent.workflow_id,
            step=parent.step_id,
            attempt=parent.attempt,
            error=f"workflow {event.workflow_id}: {_why(event)}",
            left_undone=isinstance(event, CompensationFailed),
        )

    def _fail(
        self,
        recorded: Recorded,
        event: StepDispatched | StepCancelled | StepFailed,
        error: str,
        purpose: str = "",
    ) -> FailStep:
        return FailStep(
            meta=because_of(recorded, self.name, purpose),
            workflow_id=event.workflow_id,
            step=event.step_id,
            attempt=event.attempt,
            error=error,
            reason="rejected",
        )


def _why(
    event: WorkflowFailed | WorkflowCancelled | WorkflowCompensated | CompensationFailed | StepSettled,
) -> str:
    """Return why a child has ended badly."""
    if isinstance(event, WorkflowFailed):
        return event.error
    failure = None if isinstance(event, WorkflowCancelled) else event.failure
    why = failure or "it was cancelled"
    if isinstance(event, CompensationFailed):
        return f"{why}; what it did was not undone: {event.failed_step}: {event.error}"
    return why
