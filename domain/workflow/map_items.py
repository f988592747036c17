"""A ``map`` step in a turn: it finds its elements, and begins as many of its items as may run at once."""

from collections.abc import Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any

from domain.definition import StepDefinition
from domain.expressions import BadExpression, found
from domain.faults import shortened
from domain.values import is_same_json
from domain.workflow.events import StepMapped
from domain.workflow.sizes import MOST_RESULT_BYTES, fault_of_size
from domain.workflow.state import UNDER_WAY, Workflow
from domain.workflow.step import Items, Step, item_type, step_id_of

if TYPE_CHECKING:
    from domain.workflow.turn import Turn

MOST_ELEMENTS = 10_000
"""The most elements of a list."""

_MOST_IN_A_TURN = 80
_MOST_BYTES_IN_A_TURN = 1024 * 1024
"""Everything that is begun in a turn is one append, and its size is limited: Cosmos DB accepts 98 events and
1.9 MB. What its expressions may do is limited too. Each item that ends begins more. Items whose input cannot
be made end within the turn; the last of them is retried once, and the turn of that try begins more."""


def begin(turn: "Turn", step: Step, definition: StepDefinition, reason: str | None) -> None:
    """Find the elements, and begin the first of them."""
    assert definition.map is not None
    try:
        elements = found(definition.map.over, turn.context(step), turn.allowance)
        error = _fault_of_elements(definition.map.over, elements)
    except BadExpression as bad:
        elements, error = [], str(bad)
    if step.items is not None and (error or not is_same_json(step.items.elements, tuple(elements))):
        turn.cancel_open_steps(items_of=step.step_type)
        step = turn.state.steps[step.step_type]
    turn.happened(
        StepMapped(
            workflow_id=turn.state.workflow_id,
            execution_id=turn.state.execution_id,
            step_id=step.step_id,
            step_type=step.step_type,
            elements=() if error else tuple(elements),
            attempt=step.attempt + 1,
            mapped_at=turn.now,
            deadline_at=turn.deadline(definition),
            reason=reason,
        )
    )
    if error:
        turn.fail(turn.state.steps[step.step_type], error, "rejected")
    else:
        turn.let_out(items_of=step.step_type)
        go_on(turn, step.step_type)


def go_on(turn: "Turn", step_type: str) -> bool:
    """Begin as many more items as may run. Return whether the ``map`` step has ended by that.

    A paused workflow begins none, but its ``map`` steps still end.
    """
    while turn.state.status in UNDER_WAY:
        step = turn.state.steps[step_type]
        definition = turn.state.definition(step_type)
        assert definition is not None
        assert definition.map is not None
        assert step.items is not None
        if step.status != "running":
            return False
        if step.items.failed > definition.map.tolerate:
            turn.fail(step, _failures(turn.state, step_type, step.items), "reported")
            return True
        error = fault_of_size("all its results", step.items.result_bytes, MOST_RESULT_BYTES)
        if error:
            turn.fail(step, error, "rejected")
            return True
        item = _next_item(turn.state, step_type, step.items)
        if item is None:
            if step.items.open:
                return False
            turn.complete(step, _results(turn.state, step_type, step.items))
            return True
        if turn.state.status == "paused":
            return False
        is_much = _has_begun_much(turn)
        if step.items.open >= (1 if is_much else definition.map.at_once):
            return False
        turn.dispatch(item, again_if_void=turn.now if is_much else None)
    return False


def _failures(state: Workflow, step_type: str, items: Items) -> str:
    """How many items have failed, and why the first of them has: their errors are often the same."""
    told = f"{items.failed} of {len(items.elements)} items failed"
    every = (_item(state, step_type, index) for index in range(len(items.elements)))
    first = next((item for item in every if item.status == "failed"), None)
    return told if first is None else f"{told}; {first.step_type}: {first.error}"


def leave(turn: "Turn", step_type: str) -> None:
    """End a ``map`` step of a workflow that is undone, once none of its items is under way. No more items
    begin."""
    step = turn.state.steps[step_type]
    if step.items is None or step.items.open or not step.is_awaited:
        return
    items = (_item(turn.state, step_type, index) for index in range(len(step.items.elements)))
    if all(item.status in ("completed", "skipped") for item in items):
        turn.complete(step, _results(turn.state, step_type, step.items))
    else:
        turn.cancel(step)


def is_for_an_element(state: Workflow, item: Step) -> bool:
    """Return whether a ``map`` step still has the element of an item. It may have been begun again for
    fewer."""
    items = None if item.item_of is None else state.steps[item.item_of].items
    return items is not None and item.item is not None and item.item < len(items.elements)


def _has_begun_much(turn: "Turn") -> bool:
    return (
        turn.dispatched >= _MOST_IN_A_TURN
        or turn.dispatched_bytes >= _MOST_BYTES_IN_A_TURN
        or turn.allowance.is_half_spent
    )


def _next_item(state: Workflow, step_type: str, items: Items) -> Step | None:
    """Return the next item that is neither completed nor under way."""
    for index in range(items.next, len(items.elements)):
        item = _item(state, step_type, index)
        if item.status in ("pending", "failed", "cancelled") and not item.is_unsettled:
            return item
    return None


def _item(state: Workflow, step_type: str, index: int) -> Step:
    name = item_type(step_type, index)
    known = state.steps.get(name)
    if known is not None:
        return known
    definition = state.definition(step_type)
    assert definition is not None
    assert definition.map is not None
    return Step(
        step_id=step_id_of(state.workflow_id, name),
        step_type=name,
        work=definition.map.each,
        item=index,
        item_of=step_type,
    )


def _results(state: Workflow, step_type: str, items: Items) -> list[Any]:
    steps = (state.steps[item_type(step_type, index)] for index in range(len(items.elements)))
    return [step.result if step.status == "completed" else None for step in steps]


def _fault_of_elements(over: str, elements: Any) -> str | None:
    if not isinstance(elements, list):
        return f"{shortened(over)}: finds {_SORTS.get(type(elements), 'a number')}, but must find a list"
    if len(elements) > MOST_ELEMENTS:
        return f"{len(elements)} elements are too many: at most {MOST_ELEMENTS} can be mapped over"
    return None


_SORTS: Mapping[type, str] = {
    NoneType: "nothing (null)",
    bool: "true or false",
    str: "a string",
    dict: "an object",
}
