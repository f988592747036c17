"""``wait``: for some ``seconds``, ``until`` the time that a member of the input holds, or for an ``event``.

``filter`` is an expression over the message that must hold.
"""

from collections.abc import Collection

from application.kinds.kind import EXPRESSION, MESSAGE_TYPE, NAME, Parameters, StepKind, parameters
from domain.definition_rules import LONGEST_SECONDS, expression_faults
from domain.faults import Fault

_ONE_OF = ("seconds", "until", "event")


def _more(parameters: Parameters, input_names: Collection[str]) -> list[Fault]:
    faults = []
    if sum(name in parameters for name in _ONE_OF) != 1:
        faults.append(Fault("", f"say one of {', '.join(_ONE_OF)}"))
    if "until" in parameters and parameters["until"] not in input_names:
        faults.append(Fault("until", f"{parameters['until']} is not in the step's input"))
    if "filter" in parameters:
        if "event" not in parameters:
            faults.append(Fault("filter", "is for a wait for an event"))
        faults.extend(expression_faults("filter", parameters["filter"]))
    return faults


WAIT = StepKind(
    name="wait",
    schema=parameters(
        {
            "seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SECONDS},
            "until": NAME,
            "event": MESSAGE_TYPE,
            "filter": EXPRESSION,
        }
    ),
    more=_more,
    timeout_seconds=None,
)
