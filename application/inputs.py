"""What a workflow is given to begin with, held against what its definition asks for."""

from collections.abc import Mapping
from typing import Any

import anyio
import anyio.to_thread

from domain.definition import WorkflowDefinition
from domain.errors import BadInput
from domain.json_schema import quick_faults, value_faults

_LONG_AT_ONCE = anyio.CapacityLimiter(2)


async def refuse_bad_input(definition: WorkflowDefinition, input: Mapping[str, Any] | None) -> None:
    """Check a workflow's input, none being empty. What takes long is done by one of two threads: nobody
    waits for it who has less to check.

    Raises:
        BadInput: it is not as the definition's schema says; with every fault.
    """
    if definition.input_schema is None:
        return
    what = definition.input_schema, input or {}, "input"
    faults = quick_faults(*what)
    if faults is None:
        faults = await anyio.to_thread.run_sync(value_faults, *what, limiter=_LONG_AT_ONCE)
    if faults:
        raise BadInput(f"the input is none for {definition.name}", faults)
