"""What result somebody may give a step: one like that which the step would have had."""

from typing import Any

from domain.definition import MAP
from domain.errors import BadInput
from domain.faults import Fault
from domain.workflow.step import HTTP, Step


def require_is_like_its_own(step: Step, result: Any) -> None:
    """Check a given result. A ``map`` step has a list, a call any JSON that its answer is, any other step an
    object.

    Raises:
        BadInput: the result has another form, and expressions after the step would not find what they need.
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
    """Return how many elements a ``map`` step has, or 0 if it has not found them yet, or could not."""
    if step.items is None or step.status == "pending":
        return 0
    return len(step.items.elements)


def _bad(message: str) -> BadInput:
    return BadInput(f"result: {message}", [Fault("result", message)])
