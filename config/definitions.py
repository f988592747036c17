"""What the settings say about workflow definitions: which are shipped, and what tenants' own may not send."""

from collections.abc import Iterable
from importlib.resources.abc import Traversable

from config.sections import Settings, Workflows
from config.start import CannotStart
from domain.definition import OPPORTUNITY_ANALYSIS, WorkflowDefinition
from domain.platform_messages import is_the_platforms
from interfaces.definitions.shipped import BadDefinitions, read_folder, shipped_folder
from interfaces.messaging.messages import CONSUMED


def shipped_definitions(settings: Workflows, folder: Traversable | None = None) -> list[WorkflowDefinition]:
    """Return every definition in the folder. How long the steps of ``opportunity-analysis`` wait is a
    setting.

    Raises:
        CannotStart: one is invalid; with every fault of all.
    """
    try:
        definitions = read_folder(folder or shipped_folder())
    except BadDefinitions as bad:
        raise CannotStart("\n".join(("a workflow definition is not valid", *bad.lines))) from None
    except OSError as error:
        raise CannotStart(f"the workflow definitions cannot be read: {error}") from None
    if not any(each.name == OPPORTUNITY_ANALYSIS.name for each in definitions):
        raise CannotStart(f"the workflow definition {OPPORTUNITY_ANALYSIS.name} is missing")
    timeouts = {str(step): seconds for step, seconds in settings.step_timeouts.items()}
    return [
        each.with_timeouts(settings.step_timeout_seconds, timeouts)
        if each.name == OPPORTUNITY_ANALYSIS.name
        else each
        for each in definitions
    ]


def received_types(settings: Settings, shipped: Iterable[WorkflowDefinition]) -> frozenset[str]:
    """Return the types of messages that reach the service: those of the contract, those that the shipped
    definitions name, and those that the settings add for tenants' own."""
    named = (each for definition in shipped for each in definition.message_types)
    return frozenset((*CONSUMED, *named, *settings.rabbitmq.message_types))


def platform_wire_types(settings: Settings) -> frozenset[str]:
    """Return the types that the platform's own messages have on the wire besides those of the contract: their
    aliases, and the jobs' own types."""
    aliases = settings.rabbitmq.type_aliases.items()
    jobs = (rules.message_type for rules in settings.batch_jobs.jobs.values())
    named = {*jobs, *(alias for documented, alias in aliases if is_the_platforms(documented))}
    return frozenset(each for each in named if not is_the_platforms(each))
