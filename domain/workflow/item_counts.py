"""What a ``map`` step knows of all its items, updated with each change of one.

Going over all items each time would cost more the more there are.
"""

from typing import Any

import msgspec
from immutables import Map

from domain.workflow.step import Items, Step, item_type


def counted(items: Items, before: Step | None, item: Step, steps: Map[str, Step]) -> Items:
    """Return the counts after an item has changed. ``steps`` are all steps, with ``item`` as it is now."""
    return msgspec.structs.replace(
        items,
        next=_first_not_begun(steps, item.item_of, items),
        open=items.open + _is_open(item) - _is_open(before),
        failed=items.failed + _is_failed(item) - _is_failed(before),
        result_bytes=items.result_bytes + item.result_bytes - (0 if before is None else before.result_bytes),
        earlier=_earlier_without(item, items.earlier),
    )


def _first_not_begun(steps: Map[str, Step], step_type: str | None, items: Items) -> int:
    """Continue from the former value, because those below it have been begun."""
    assert step_type is not None
    index = items.next
    while index < len(items.elements):
        item = steps.get(item_type(step_type, index))
        if item is None or item.status == "pending":
            break
        index += 1
    return index


def _earlier_without(item: Step, earlier: Map[int, Any]) -> Map[int, Any]:
    """What an item has done again replaces what it did before."""
    if item.item is None or item.status != "completed" or item.item not in earlier:
        return earlier
    return earlier.delete(item.item)


def _is_open(step: Step | None) -> bool:
    return step is not None and (step.is_awaited or step.is_unsettled)


def _is_failed(step: Step | None) -> bool:
    return step is not None and step.status == "failed"
