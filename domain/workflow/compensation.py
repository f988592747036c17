"""What undoes a workflow's completed steps."""

from domain.workflow.state import Workflow, done_items
from domain.workflow.step import COMPENSATION, Step, step_id_of

_UNDONE = ("compensating", "compensated", "compensation_failed")


def compensations_left(state: Workflow) -> list[Step]:
    """Return the compensations of completed steps that are not done yet, those of the latest steps first.

    What a step did remains while the step is done again, and if it is not completed again. The same holds for
    the items of a ``map`` step, whatever became of the step itself. If nothing else is undone, a ``map`` step
    that failed because of its items is not undone either: the workflow may be retried, and then does those
    items again.

    What children have left undone comes before everything: they have to undo it, and the rest lies below it.
    """
    left = [state.steps[step_type] for step_type in state.left_undone]
    is_undone = bool(left) or state.status in _UNDONE
    for step_type in reversed(state.done):
        definition = state.definition(step_type)
        done = state.steps[step_type]
        if definition is None or definition.compensation is None or not _has_done(state, done):
            continue
        name = step_type + COMPENSATION
        step = state.steps.get(name) or Step(
            step_id=step_id_of(state.workflow_id, name), step_type=name, work=definition.compensation
        )
        if step.status not in ("completed", "skipped"):
            left.append(step)
            is_undone = is_undone or not _may_be_gone_on_with(done)
    return left if is_undone else []


def _has_done(state: Workflow, step: Step) -> bool:
    """Return whether a step has done something. Items that are begun again for other elements discard what
    they did before."""
    if step.items is None or step.status == "completed" or step.earlier_result is not None:
        return True
    return next(done_items(state, step), None) is not None


def _may_be_gone_on_with(step: Step) -> bool:
    """Return whether a ``map`` step that was never completed has failed because of its items, or is to be
    done again."""
    has_failed = step.status in ("failed", "pending") and not step.is_unanswered
    return step.items is not None and has_failed and step.earlier_result is None
