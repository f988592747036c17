"""Who may settle a step in its place. What people are to decide cannot be had without them.

A step that waits for its later answer (``accepted``) is completed by the service that does the work, which is
no operator.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from domain.definition import StepDefinition, Work, depending_on
from domain.errors import NotAllowed, StepIsForPeople
from domain.workflow.state import Workflow
from domain.workflow.step import APPROVAL, CHILD, Step

_ASKING = (APPROVAL, CHILD)
"""It is not known here whether another workflow asks people."""


class Above(NamedTuple):
    """A workflow that began another one, and its step that waits for that one."""

    state: Workflow
    step: Step


def require_may_skip(state: Workflow, step: Step, *, may_do_all: bool) -> None:
    """Only an operator may skip a step that people decide, or on which it may depend whether they are asked.

    Raises:
        NotAllowed: it is one, and this is no operator.
    """
    if not may_do_all and (_leads_to_people(state, step) or _waits_for_people(state, step)):
        raise NotAllowed(f"people decide on {step.step_type} or its result: only an operator may skip it")


def require_may_complete(state: Workflow, step: Step, *, may_do_all: bool) -> None:
    """What people decide is completed only by their decision. A step after which people are asked is
    completed by whoever does it, or by an operator.

    Raises:
        StepIsForPeople: people decide it, whoever this is.
        NotAllowed: this is no operator.
    """
    if step.work.kind == APPROVAL:
        raise StepIsForPeople(f"people decide {step.step_type}: their approval completes it")
    if may_do_all:
        return
    is_asked_after = _leads_to_people(state, step) and not step.work.parameters.get("accepted")
    if is_asked_after or _waits_for_people(state, step):
        raise NotAllowed(f"people decide on {step.step_type} or its result: only an operator may complete it")


def require_may_give_other_input(state: Workflow, again: Collection[str], *, may_do_all: bool) -> None:
    """People have decided on the input that there was.

    Raises:
        NotAllowed: they would not be asked again, and this is no operator.
    """
    asked = [each.step_type for each in state.plan if _asks(each) and each.step_type not in again]
    if asked and not may_do_all:
        raise NotAllowed(f"people have decided {asked[0]} on other input: only an operator may change it")


def require_may_ask_with_other_input(state: Workflow, *, by_its_starter: bool) -> None:
    """Whoever started the workflow asks people, and does not decide. Somebody else who gives the input might
    decide.

    Raises:
        NotAllowed: people are asked, and this is not who started it.
    """
    asked = next((each.step_type for each in state.plan if _asks(each)), None)
    if asked is not None and not by_its_starter:
        raise NotAllowed(
            f"people are asked in {asked}: only the person who started the workflow or an operator may give"
            " other input"
        )


def require_may_cancel_below(state: Workflow, above: Sequence[Above]) -> None:
    """Without a child its step has failed, and the workflow above may continue as if nobody had to be asked.

    Raises:
        NotAllowed: people are asked in it, or after a step that waits for it.
    """
    asked = next((each.step_type for each in state.plan if _asks(each)), None)
    if above and asked is not None:
        raise NotAllowed(
            f"people decide {asked} for workflow {above[0].state.workflow_id}: cancel that one, or ask an"
            " operator to do this"
        )
    require_none_asked_above(above)


def require_none_asked_above(above: Sequence[Above]) -> None:
    """The outcome of a child may be what people are asked about above it, or decide whether they are asked.

    Raises:
        NotAllowed: they are asked after a step that waits for it.
    """
    for state, step in above:
        after = depending_on(state.plan, [step.item_of or step.step_type])
        asked = _asked_besides(step, [each for each in state.plan if each.step_type in after])
        if asked is not None:
            raise NotAllowed(
                f"people decide {asked} of workflow {state.workflow_id} on the result of this one: only an"
                " operator may do this"
            )


def require_nobody_asked_above(above: Sequence[Above]) -> None:
    """A child has its input from the workflow above it, on which people may have decided.

    Raises:
        NotAllowed: they are asked there.
    """
    for state, step in above:
        asked = _asked_besides(step, state.plan)
        if asked is not None:
            raise NotAllowed(
                f"people decide {asked} of workflow {state.workflow_id} on the input of this one: only an"
                " operator may change it"
            )


def _asked_besides(step: Step, plan: Sequence[StepDefinition]) -> str | None:
    """Return the first step in which people are asked, other than this one."""
    own = step.item_of or step.step_type
    return next((each.step_type for each in plan if each.step_type != own and _asks(each)), None)


def _leads_to_people(state: Workflow, step: Step) -> bool:
    planned = depending_on(state.plan, [step.item_of or step.step_type])
    return _asks(step.work) or any(_asks(each) for each in state.plan if each.step_type in planned)


def _waits_for_people(state: Workflow, step: Step) -> bool:
    """Return whether people still have to decide on something that comes before it."""
    planned = step.item_of or step.step_type
    return any(
        planned != each.step_type and planned in depending_on(state.plan, [each.step_type])
        for each, known in state.planned()
        if _asks(each) and not known.has_ended
    )


def _asks(work: Work) -> bool:
    each = work.map.each if isinstance(work, StepDefinition) and work.map is not None else work
    return each.kind in _ASKING
