"""What a workflow is given to begin with, held against what its definition asks for."""

from collections.abc import Mapping
from typing import Any

import anyio.to_thread

from domain.definition import WorkflowDefinition
from domain.errors import BadInput
from domain.json_schema import value_faults


async def refuse_bad_input(definition: WorkflowDefinition, input: Mapping[str, Any] | None) -> None:
    """Check a workflow's input, none being empty. A thread does it: nobody waits for another's long input.

    Raises:
        BadInput: it is not as the definition's schema says; with every fault.
    """
    if definition.input_schema is None:
        return
    faults = await anyio.to_thread.run_sync(value_faults, definition.input_schema, input or {}, "input")
    if faults:
        raise BadInput(f"the input is none for {definition.name}", [each._asdict() for each in faults])
