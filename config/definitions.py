"""The workflow definitions that come with the service, as the settings have them."""

from importlib.resources.abc import Traversable

from config.sections import Workflows
from config.start import CannotStart
from domain.definition import OPPORTUNITY_ANALYSIS, WorkflowDefinition
from interfaces.definitions.shipped import BadDefinitions, read_folder, shipped_folder


def shipped_definitions(settings: Workflows, folder: Traversable | None = None) -> list[WorkflowDefinition]:
    """Every definition of the folder. How long the steps of ``opportunity-analysis`` wait is a setting.

    Raises:
        CannotStart: one is bad; with every fault of all.
    """
    try:
        definitions = read_folder(folder or shipped_folder())
    except BadDefinitions as bad:
        raise CannotStart("\n".join(("a workflow definition is bad", *bad.lines))) from None
    except OSError as error:
        raise CannotStart(f"the workflow definitions cannot be read: {error}") from None
    if not any(each.name == OPPORTUNITY_ANALYSIS.name for each in definitions):
        raise CannotStart(f"the workflow definition {OPPORTUNITY_ANALYSIS.name} is not there")
    timeouts = {str(step): seconds for step, seconds in settings.step_timeouts.items()}
    return [
        each.with_timeouts(settings.step_timeout_seconds, timeouts)
        if each.name == OPPORTUNITY_ANALYSIS.name
        else each
        for each in definitions
    ]
