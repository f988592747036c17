"""Checks the input of a request against its schema."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, TypeVar

from anyio import to_thread

from application.tenant_turns import TenantTurns
from domain.definition import WorkflowDefinition
from domain.errors import BadInput
from domain.faults import Fault
from domain.json_schema import does_not_know, quick_faults, value_faults

OPPORTUNITY = "opportunityId"
"""A child's opportunity, in the input of the step that runs it."""

T = TypeVar("T")

_LONG_AT_ONCE = TenantTurns(2)
"""How many threads do long checks, so that nobody with less to check waits for them."""

_TURN_SECONDS = 0.05
"""After so long a thread continues with what others have to check."""


async def in_turn(tenant: str, work: Callable[[], T]) -> T:
    """Do what takes long for a tenant in a thread. Few are at work, and the tenants take turns."""
    async with _LONG_AT_ONCE.turn(tenant):
        return await to_thread.run_sync(work)


async def faults_in(tenant: str, schema: Mapping[str, Any], value: Any, field: str) -> list[Fault]:
    """Return where a tenant's value departs from a schema. ``field`` is the name of the value."""
    faults = quick_faults(schema, value, field)
    if faults is None:
        faults = await in_turn(tenant, lambda: value_faults(schema, value, field))
    return faults


async def first_faults(
    tenant: str, schema: Mapping[str, Any], values: Iterable[Any], field: str
) -> list[Fault]:
    """Return where the first of many values departs from a schema. ``values`` are made in threads."""
    left = iter(values)
    faults = None
    while faults is None:
        faults = await in_turn(tenant, lambda: _in_one_turn(schema, left, field))
    return faults


def _in_one_turn(schema: Mapping[str, Any], left: Iterator[Any], field: str) -> list[Fault] | None:
    """Return the first faults, or an empty list if there are none, or None if there may be more to check."""
    ends = monotonic() + _TURN_SECONDS
    for value in left:
        faults = value_faults(schema, value, field)
        if faults or monotonic() >= ends:
            return faults or None
    return []


async def input_of_child(
    tenant: str, definition: WorkflowDefinition, given: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Return a child's input, given what its parent's step passes. A deal of the child's own can be named
    only there. It is not part of the input if the definition has a schema without such a member; otherwise
    expressions may use it."""
    schema = definition.input_schema
    if schema is None or not given or OPPORTUNITY not in given:
        return given
    faults = await faults_in(tenant, schema, {OPPORTUNITY: given[OPPORTUNITY]}, "")
    if not does_not_know(faults, OPPORTUNITY):
        return given
    return {name: value for name, value in given.items() if name != OPPORTUNITY}


async def refuse_bad_input(
    tenant: str, definition: WorkflowDefinition, input: Mapping[str, Any] | None
) -> None:
    """Check a workflow's input. None counts as empty.

    Raises:
        BadInput: it does not fit the definition's schema; with every fault.
    """
    if definition.input_schema is None:
        return
    if faults := await faults_in(tenant, definition.input_schema, input or {}, "input"):
        raise BadInput(f"the input is not valid for {definition.name}", faults)
