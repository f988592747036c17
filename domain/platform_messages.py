"""Messages that have a meaning of the platform's own (wire contract, section 1). No tenant's definition may
send them.

Their receivers take them as messages of this service, or of a neighbour: a job is to run, it has failed, an
approval is given. A tenant's definition would speak in their name.

Some may have further types on the wire: ``wire_types``, from the settings.
"""

from collections.abc import Collection, Iterator

from domain.definition import OPPORTUNITY_ANALYSIS, Work, WorkflowDefinition
from domain.faults import Fault

PREFIXES = ("workflow.", "hitl.", "integration.", "shard.")

OF_NEIGHBOURS = (
    "risk.evaluation.completed",
    "risk.evaluation.failed",
    "risk.scoring.completed",
    "forecast.completed",
    "recommendation.generation.completed",
    "recommendation.generation.failed",
)

REQUESTS = frozenset(step.parameters["request"] for step in OPPORTUNITY_ANALYSIS.steps)
"""What any definition may ask the neighbours for."""


def is_the_platforms(message_type: str, wire_types: Collection[str] = ()) -> bool:
    """Return whether only the platform itself may send such messages."""
    if message_type in REQUESTS:
        return False
    return message_type in OF_NEIGHBOURS or message_type.startswith(PREFIXES) or message_type in wire_types


def own_message(message_type: str) -> str:
    """Return what to tell somebody who wants to send such a message."""
    return f"{message_type} is a message type reserved for the platform"


def platform_faults(definition: WorkflowDefinition, wire_types: Collection[str] = ()) -> list[Fault]:
    """Return faults for messages that a tenant's definition would send and only the platform may send."""
    told = [
        (f"announcements.{name}", getattr(definition.announcements, name))
        for name in ("started", "completed", "failed")
    ]
    named = [
        Fault(f"{field}.input.tenantId", "must not be set: the message's envelope already has your tenant")
        for field, work in _works(definition)
        if work.kind == "event" and "tenantId" in work.input
    ]
    asked = [
        (f"{field}.parameters.request", work.parameters.get("request"))
        for field, work in _works(definition)
        if work.kind == "event"
    ]
    return named + [
        Fault(field, own_message(message_type))
        for field, message_type in (*told, *asked)
        if isinstance(message_type, str) and is_the_platforms(message_type, wire_types)
    ]


def _works(definition: WorkflowDefinition) -> Iterator[tuple[str, Work]]:
    for number, step in enumerate(definition.steps):
        yield f"steps[{number}]", step
        if step.map is not None:
            yield f"steps[{number}].map.each", step.map.each
        if step.compensation is not None:
            yield f"steps[{number}].compensation", step.compensation
