"""Messages that start workflows, as the definitions say."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import structlog

from application.inputs import in_turn
from application.workflow_commands import RequestRun
from domain.bounded_jmespath import Allowance
from domain.definition import Trigger, WorkflowDefinition
from domain.event import Metadata
from domain.expressions import BadExpression, found, holds, mapped
from domain.values import derived_id, id_of, is_id

_QUICK_WORK = 3_000
"""What may be evaluated on the event loop: some milliseconds."""

log = structlog.get_logger(__name__)


class Triggered(msgspec.Struct, frozen=True):
    """A trigger, and the definition that it starts."""

    definition: str
    trigger: Trigger


class Triggers(Protocol):
    """Finds the triggers of definitions."""

    async def for_message(self, tenant: str, message_type: str) -> Sequence[Triggered]:
        """Return the triggers that messages of a type may set off for a tenant."""
        ...


class ShippedTriggers:
    """The triggers of the definitions that come with the service: the same for every tenant."""

    def __init__(self, definitions: Sequence[WorkflowDefinition]) -> None:
        self._by_type: dict[str, list[Triggered]] = {}
        for definition in definitions:
            for trigger in definition.triggers:
                of_type = self._by_type.setdefault(trigger.message_type, [])
                of_type.append(Triggered(definition.name, trigger))

    async def for_message(self, tenant: str, message_type: str) -> Sequence[Triggered]:
        """Return the triggers that messages of a type may set off."""
        return self._by_type.get(message_type, ())


async def runs_for(triggers: Triggers, message: Mapping[str, Any], meta: Metadata) -> Sequence[RequestRun]:
    """Return the runs that a message asks for. ``message`` has ``type``, ``data``, ``metadata`` and
    ``tenantId``.

    If a filter or mapping does not fit the message, nothing is started, and that is logged. So it is if the
    triggers before it have taken too long: all of a message have one allowance. If several triggers of a
    definition fit, each asks for a run of its own.
    """
    of_type = await triggers.for_message(meta.tenant, message["type"])
    allowance = Allowance(_QUICK_WORK)
    runs, unfit = _runs_for(of_type, message, meta, allowance)
    if allowance.is_spent:
        runs, unfit = await in_turn(meta.tenant, lambda: _runs_for(of_type, message, meta, Allowance()))
    for definition, reason in unfit:
        log.warning("trigger_does_not_fit", definition=definition, reason=reason)
    return runs


def _runs_for(
    of_type: Sequence[Triggered], message: Mapping[str, Any], meta: Metadata, allowance: Allowance
) -> tuple[list[RequestRun], list[tuple[str, str]]]:
    """Return the runs that triggers ask for, and the definitions of those that do not fit, with the
    reason."""
    runs, unfit = [], []
    places: Counter[str] = Counter()
    for triggered in of_type:
        place = places[triggered.definition]
        places[triggered.definition] += 1
        try:
            run = _run_for(triggered, place, message, meta, allowance)
        except BadExpression as error:
            unfit.append((triggered.definition, str(error)))
            continue
        if run is not None:
            runs.append(run)
    return runs, unfit


def _run_for(
    triggered: Triggered, place: int, message: Mapping[str, Any], meta: Metadata, allowance: Allowance
) -> RequestRun | None:
    """Return the run that a trigger asks for, at its ``place`` among those of its definition and type. The
    ids come from it, except for the first's, which are the same as when a definition had one run for a
    message."""
    trigger = triggered.trigger
    if trigger.filter is not None and not holds(trigger.filter, message, allowance):
        return None
    opportunity_id = id_of(found(trigger.opportunity_id, message, allowance))
    if opportunity_id is not None and not is_id(opportunity_id):
        raise BadExpression(f"{trigger.opportunity_id}: does not find a valid opportunity id")
    cause = meta.causation_id or meta.command_id
    parts = ["workflow", meta.tenant, cause, triggered.definition, trigger.message_type]
    if place:
        parts.append(str(place))
        meta = msgspec.structs.replace(meta, command_id=derived_id("trigger", meta.command_id, str(place)))
    return RequestRun(
        meta=meta,
        workflow_id=derived_id(*parts),
        opportunity_id=opportunity_id,
        definition=triggered.definition,
        input=mapped(trigger.input, message, allowance) or None,
    )
