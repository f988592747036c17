"""What expressions can use, depending on where they stand.

The rules for definitions make the same contexts from what is known of each value beforehand
(:mod:`domain.scopes`). So a name that is refused is a name that does not exist, and no list has to repeat it.
"""

from collections.abc import Iterable
from typing import Any

Context = dict[str, Any]


def step_context(
    *,
    input: Any,
    results: Any,
    steps: Iterable[tuple[str, Any, Any]],
    workflow_id: Any,
    opportunity_id: Any,
) -> Context:
    """For a step of the plan, and for its compensation. ``steps`` are the types, statuses and errors of the
    steps."""
    return {
        "input": input,
        "results": results,
        "steps": {step_type: {"status": status, "error": error} for step_type, status, error in steps},
        "workflow": {"id": workflow_id, "opportunityId": opportunity_id},
    }


def item_context(map_step: Context, *, element: Any, index: Any) -> Context:
    """For what a ``map`` step does for each element: the context of the step itself, and the element."""
    return {**map_step, "item": element, "index": index}


def key_context(*, input: Any, opportunity_id: Any) -> Context:
    """For the key of a concurrency group, before there is a workflow."""
    return {"input": input, "opportunityId": opportunity_id}


def message_context(*, message_type: Any, data: Any, metadata: Any, tenant: Any) -> Context:
    """For a trigger."""
    return {"type": message_type, "data": data, "metadata": metadata, "tenantId": tenant}


def reply_context(data: Any) -> Context:
    """For what is taken from a reply, and for its correlation."""
    return {"data": data}
