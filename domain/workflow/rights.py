"""Who may settle a step in its place: what people are to decide is not to be had without them.

A step that waits for its later answer (``accepted``) is completed by the service that does the work, which is
no operator.
"""

from domain.definition import StepDefinition, Work, depending_on
from domain.errors import NotAllowed, StepIsForPeople
from domain.workflow.state import Workflow
from domain.workflow.step import APPROVAL, CHILD, Step

_ASKING = (APPROVAL, CHILD)
"""What another workflow asks of people is not known here."""


def require_may_skip(state: Workflow, step: Step, *, may_do_all: bool) -> None:
    """A step that people decide, or on which it may depend whether they are asked, is an operator's to skip.

    Raises:
        NotAllowed: it is one, and this is no operator.
    """
    if not may_do_all and _leads_to_people(state, step):
        raise NotAllowed(f"people decide on what comes of {step.step_type}: an operator may skip it")


def require_may_complete(state: Workflow, step: Step, *, may_do_all: bool) -> None:
    """What people decide is completed by their decision; what they are asked after, by who does it, or an
    operator.

    Raises:
        StepIsForPeople: whoever this is.
        NotAllowed: this is no operator.
    """
    if step.work.kind == APPROVAL:
        raise StepIsForPeople(f"people decide {step.step_type}: their approval completes it")
    if not may_do_all and not step.work.parameters.get("accepted") and _leads_to_people(state, step):
        raise NotAllowed(f"people decide on what comes of {step.step_type}: an operator may complete it")


def _leads_to_people(state: Workflow, step: Step) -> bool:
    planned = depending_on(state.plan, [step.item_of or step.step_type])
    return _asks(step.work) or any(_asks(each) for each in state.plan if each.step_type in planned)


def _asks(work: Work) -> bool:
    each = work.map.each if isinstance(work, StepDefinition) and work.map is not None else work
    return each.kind in _ASKING
