"""Messages that start workflows, as the definitions say."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import structlog

from application.commands import RequestRun
from domain.definition import Trigger, WorkflowDefinition
from domain.event import Metadata
from domain.expressions import BadExpression, found, holds, mapped
from domain.values import derived_id, is_id

log = structlog.get_logger(__name__)


class Triggered(msgspec.Struct, frozen=True):
    """A trigger, and the definition that it starts."""

    definition: str
    trigger: Trigger


class Triggers(Protocol):
    """Where the triggers of definitions are found."""

    async def for_message(self, tenant: str, message_type: str) -> Sequence[Triggered]:
        """Those that messages of a type may set off for a tenant."""
        ...


class ShippedTriggers:
    """Those of the definitions that come with the service: the same for every tenant."""

    def __init__(self, definitions: Sequence[WorkflowDefinition]) -> None:
        self._by_type: dict[str, list[Triggered]] = {}
        for definition in definitions:
            for trigger in definition.triggers:
                of_type = self._by_type.setdefault(trigger.message_type, [])
                of_type.append(Triggered(definition.name, trigger))

    async def for_message(self, tenant: str, message_type: str) -> Sequence[Triggered]:
        """Those that messages of a type may set off."""
        return self._by_type.get(message_type, ())


async def runs_for(triggers: Triggers, message: Mapping[str, Any], meta: Metadata) -> Sequence[RequestRun]:
    """The runs that a message asks for; ``message`` has ``type``, ``data``, ``metadata`` and ``tenantId``.

    A filter or mapping may not fit what a message holds: then nothing is set off, and that is logged.
    """
    runs = []
    for triggered in await triggers.for_message(meta.tenant, message["type"]):
        try:
            run = _run_for(triggered, message, meta)
        except BadExpression as error:
            log.warning("trigger_does_not_fit", definition=triggered.definition, reason=str(error))
            continue
        if run is not None:
            runs.append(run)
    return runs


def _run_for(triggered: Triggered, message: Mapping[str, Any], meta: Metadata) -> RequestRun | None:
    trigger = triggered.trigger
    if trigger.filter is not None and not holds(trigger.filter, message):
        return None
    opportunity_id = found(trigger.opportunity_id, message)
    if opportunity_id is not None and not is_id(opportunity_id):
        raise BadExpression(f"{trigger.opportunity_id}: finds no id of an opportunity")
    cause = meta.causation_id or meta.command_id
    return RequestRun(
        meta=meta,
        workflow_id=derived_id("workflow", meta.tenant, cause, triggered.definition, trigger.message_type),
        opportunity_id=opportunity_id,
        definition=triggered.definition,
        input=mapped(trigger.input, message) or None,
    )
