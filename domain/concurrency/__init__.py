"""ConcurrencyGroup: how runs of a definition with the same key get along.

A group knows the present run and the starts that wait for it. Starts that messages ask for are coalesced: at
most one of them waits, and the latest wins. What does not change the outcome is no event, so the log of a
burst of messages is as long as that of two.
"""

import json
from typing import Any

from domain.concurrency.events import (
    ConcurrencyEvent,
    RunEnded,
    RunReplaced,
    Start,
    StartDebounced,
    StartGranted,
    StartQueued,
    StartWithdrawn,
)
from domain.concurrency.group import (
    MOST_WAITING,
    ConcurrencyGroup,
    Waiting,
    end_run,
    evolve,
    pass_debounce,
    request_start,
)
from domain.contexts import key_context
from domain.definition import WorkflowDefinition
from domain.errors import BadInput
from domain.expressions import BadExpression, found
from domain.faults import Fault, shortened
from domain.values import StreamName, derived_id, with_one_kind_of_number


def group_of(definition: WorkflowDefinition, opportunity_id: str | None, input: Any) -> str:
    """Return the group that a run belongs to. If the key finds nothing, all such runs share one group.

    Raises:
        BadInput: the key does not fit the input.
    """
    context = key_context(input=input or {}, opportunity_id=opportunity_id)
    try:
        key = found(definition.concurrency.key, context)
    except BadExpression as error:
        told = shortened(f"the concurrency key of {definition.name}: {error}")
        raise BadInput(told, [Fault("input", told)]) from None
    written = json.dumps(with_one_kind_of_number(key), sort_keys=True)
    return f"{definition.name}/{derived_id('concurrency', written)}"


def concurrency_stream(tenant: str, group: str) -> str:
    """Return the name of a group's stream."""
    return str(StreamName(tenant, "concurrency", group))


__all__ = [
    "MOST_WAITING",
    "ConcurrencyEvent",
    "ConcurrencyGroup",
    "RunEnded",
    "RunReplaced",
    "Start",
    "StartDebounced",
    "StartGranted",
    "StartQueued",
    "StartWithdrawn",
    "Waiting",
    "concurrency_stream",
    "end_run",
    "evolve",
    "group_of",
    "pass_debounce",
    "request_start",
]
