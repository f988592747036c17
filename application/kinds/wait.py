"""``wait``: for some ``seconds``, ``until`` the time that a member of the input holds, or for an
``event``."""

from collections.abc import Collection, Iterator

from application.kinds.kind import MESSAGE_TYPE, MESSAGE_TYPE_LOOKS, NAME, Parameters, StepKind, parameters
from application.reply_rules import CORRELATION, correlation_faults
from domain.definition import Work
from domain.definition_rules import LONGEST_SECONDS
from domain.faults import Fault

_ONE_OF = ("seconds", "until", "event")


def _more(parameters: Parameters, input_names: Collection[str]) -> list[Fault]:
    if sum(each in parameters for each in _ONE_OF) != 1:
        return [Fault("", f"must have exactly one of {', '.join(_ONE_OF)}")]
    if "correlation" in parameters and "event" not in parameters:
        return [Fault("correlation", "is only for a step with event")]
    until = parameters.get("until")
    if until is not None and until not in input_names:
        return [Fault("until", f"{until} is not in the step's input")]
    return list(correlation_faults(parameters, input_names))


def _besides(work: Work) -> Iterator[Fault]:
    seconds, timeout = work.parameters.get("seconds"), work.timeout_seconds
    if isinstance(seconds, int | float) and timeout is not None and seconds > timeout:
        yield Fault("timeout", f"is shorter than the wait of {seconds:g} s, so each attempt times out")


WAIT = StepKind(
    name="wait",
    schema=parameters(
        {
            "seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SECONDS},
            "until": NAME,
            "event": MESSAGE_TYPE,
            "correlation": CORRELATION,
        }
    ),
    looks={"event": MESSAGE_TYPE_LOOKS},
    more=_more,
    besides=_besides,
    timeout_seconds=None,
)
