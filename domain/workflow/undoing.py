"""Undoes what a workflow has done, in a turn. The workflow has not ended for others before that is over.

A child may have done something too, which it undoes itself. What lies below it is not undone before that, and
nothing is done on top of it (ADR 42).
"""

from typing import TYPE_CHECKING, Any

from domain.workflow import map_items
from domain.workflow.compensation import compensations_left
from domain.workflow.events import (
    CompensationBegan,
    CompensationFailed,
    StepSettled,
    WorkflowCompensated,
)
from domain.workflow.sizes import beginning_of
from domain.workflow.state import Workflow
from domain.workflow.step import Step

if TYPE_CHECKING:
    from domain.workflow.turn import Turn


def told_by_the_end(state: Workflow) -> dict[str, Any]:
    """Return whom the event names by which a workflow fails or is cancelled: its group, and its parent's
    step; but nobody while something has to be undone, by it or by a child."""
    if state.unsettled or compensations_left(state):
        return {}
    return {"concurrency_group": state.concurrency_group, "parent": state.parent}


def begin(turn: "Turn") -> None:
    """Undo what has been done, where the plan says how. No retry comes after that, and nobody waits any more
    for what is under way, except for answers that would have to be undone as well."""
    if compensations_left(turn.state):
        for step in turn.state.all_steps():
            definition = turn.state.definition(step.item_of or step.step_type)
            if (
                step.is_awaited
                and definition is not None
                and (
                    definition.compensation is None
                    or (step.item_of is not None and step.status == "retrying")
                )
            ):
                turn.cancel(step)
        for _, step in turn.state.planned():
            map_items.leave(turn, step.step_type)
        _begin(turn)
        go_on(turn)


def go_further(turn: "Turn") -> None:
    """After a compensation has failed, continue undoing with what somebody orders of it."""
    if turn.state.status == "compensation_failed":
        _begin(turn)


def go_on(turn: "Turn") -> None:
    """Dispatch the next compensation, once the one before has ended well, and the children have ended."""
    while left := compensations_left(turn.state):
        if turn.state.unsettled or any(step.status in ("running", "retrying") for step in left):
            return
        step = left[0]
        if step.status == "failed" or step.step_type in turn.state.left_undone:
            turn.happened(
                CompensationFailed(
                    workflow_id=turn.state.workflow_id,
                    execution_id=turn.state.execution_id,
                    failed_step=step.step_type,
                    error=step.error or "the compensation failed",
                    failed_at=turn.now,
                    concurrency_group=turn.state.concurrency_group,
                    parent=turn.state.parent,
                    failure=turn.state.failure,
                )
            )
            return
        turn.dispatch(step)
    if turn.state.unsettled:
        return
    turn.happened(
        WorkflowCompensated(
            workflow_id=turn.state.workflow_id,
            execution_id=turn.state.execution_id,
            compensated_at=turn.now,
            concurrency_group=turn.state.concurrency_group,
            parent=turn.state.parent,
            failure=turn.state.failure,
            failed_step=turn.state.failed_step,
        )
    )


def settle(turn: "Turn", step: Step, error: str | None = None) -> None:
    """Note that the child of a step that nobody waits for has ended. If it was the last child of a workflow
    that has failed, or was cancelled, that is the workflow's end. If the child has left something undone, the
    workflow has too."""
    before = turn.state
    is_last = before.unsettled == before.steps[step.step_type].is_unsettled
    is_the_end = error is None and is_last and before.status in ("failed", "cancelled")
    turn.happened(
        StepSettled(
            workflow_id=before.workflow_id,
            execution_id=before.execution_id,
            step_id=step.step_id,
            step_type=step.step_type,
            attempt=step.attempt,
            settled_at=turn.now,
            error=None if error is None else beginning_of(error),
            concurrency_group=before.concurrency_group if is_the_end else None,
            parent=before.parent if is_the_end else None,
            failure=before.failure if is_the_end else None,
        )
    )
    if before.status in ("failed", "cancelled"):
        begin(turn)
    elif before.status == "compensation_failed" and _is_stopped_by(before, step):
        _begin(turn)


def _is_stopped_by(state: Workflow, step: Step) -> bool:
    """Return whether undoing has stopped at what that step's child had left undone."""
    return compensations_left(state)[0].step_type == step.step_type and step.step_type in state.left_undone


def _begin(turn: "Turn") -> None:
    turn.happened(
        CompensationBegan(
            workflow_id=turn.state.workflow_id,
            execution_id=turn.state.execution_id,
            began_at=turn.now,
        )
    )
