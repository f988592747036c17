"""What somebody may give a step as its result: what it would have come to by itself."""

from typing import Any

from domain.definition import MAP
from domain.errors import BadInput
from domain.faults import Fault
from domain.workflow.step import HTTP, Step


def require_is_like_its_own(step: Step, result: Any) -> None:
    """A ``map`` step comes to a list, a call to whatever JSON its answer is, any other step to an object.

    Raises:
        BadInput: the result is nothing like that, and expressions after the step would not find their way.
    """
    if step.work.kind == MAP:
        if not isinstance(result, list):
            raise _bad(f"must be a list: {step.step_type} is a map step, with one result for each element")
        expected = _elements_of(step)
        if expected and len(result) != expected:
            raise _bad(
                f"has {len(result)} elements, but must have {expected}: one for each element of"
                f" {step.step_type}, null for what was not done"
            )
    elif step.work.kind != HTTP and not isinstance(result, dict):
        raise _bad("must be an object")


def _elements_of(step: Step) -> int:
    """How many elements a ``map`` step has; 0 where it is yet to find them, or could not."""
    if step.items is None or step.status == "pending":
        return 0
    return len(step.items.elements)


def _bad(message: str) -> BadInput:
    return BadInput(f"result: {message}", [Fault("result", message)])
