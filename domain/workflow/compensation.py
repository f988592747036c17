"""What undoes a workflow's completed steps."""

from domain.workflow.state import Workflow, has_done_in_part
from domain.workflow.step import COMPENSATION, Step, step_id_of


def compensations_left(state: Workflow) -> list[Step]:
    """What undoes the steps that were completed, the latest first, as far as it is not done.

    What a step did is there also while it is done again, and where it is not completed again; so is what the
    items of a ``map`` step did that has not come to its end.
    """
    unfinished = [
        step.step_type
        for definition, step in state.planned()
        if definition.compensation is not None
        and step.step_type not in state.done
        and has_done_in_part(state, step)
    ]
    left = []
    for step_type in reversed((*state.done, *unfinished)):
        definition = state.definition(step_type)
        if definition is None or definition.compensation is None:
            continue
        name = step_type + COMPENSATION
        step = state.steps.get(name) or Step(
            step_id=step_id_of(state.workflow_id, name), step_type=name, work=definition.compensation
        )
        if step.status not in ("completed", "skipped"):
            left.append(step)
    return left
