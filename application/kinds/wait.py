"""``wait``: for some ``seconds``, ``until`` the time that a member of the input holds, or an ``event``."""

from collections.abc import Collection

from application.kinds.kind import MESSAGE_TYPE, NAME, Parameters, StepKind, parameters
from domain.definition_rules import LONGEST_SECONDS
from domain.faults import Fault

_ONE_OF = ("seconds", "until", "event")


def _more(parameters: Parameters, input_names: Collection[str]) -> list[Fault]:
    if len(parameters) != 1:
        return [Fault("", f"say one of {', '.join(_ONE_OF)}")]
    if "until" in parameters and parameters["until"] not in input_names:
        return [Fault("until", f"{parameters['until']} is not in the step's input")]
    return []


WAIT = StepKind(
    name="wait",
    schema=parameters(
        {
            "seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SECONDS},
            "until": NAME,
            "event": MESSAGE_TYPE,
        }
    ),
    more=_more,
    timeout_seconds=None,
)
