"""What a definition may say of the messages that end a step: which they are, and how they are told apart.

Of a reply, ``result`` maps names to expressions over the message (``data``), and without it the data are the
result; one that has ``failed`` tells in ``data.error`` why. ``correlation`` maps names of the step's input to
expressions over the message: it answers the step that has the same values.
"""

from collections.abc import Collection, Iterator

from application.kinds.kind import EXPRESSION, MESSAGE_TYPE, NAME, Parameters, parameters
from domain.expression_rules import expression_faults
from domain.faults import Fault
from domain.scopes import OF_A_REPLY

_REPLY = parameters(
    {
        "type": MESSAGE_TYPE,
        "failed": {"type": "boolean"},
        "result": {
            "type": "object",
            "maxProperties": 100,
            "propertyNames": {"minLength": 1, "maxLength": 128},
            "additionalProperties": EXPRESSION,
        },
    },
    required=["type"],
)

REPLIES = {"type": "array", "minItems": 1, "maxItems": 20, "items": _REPLY}

CORRELATION = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 10,
    "propertyNames": NAME,
    "additionalProperties": EXPRESSION,
}


def reply_faults(parameters: Parameters, input_names: Collection[str]) -> Iterator[Fault]:
    """What is wrong with ``replies`` and ``correlation`` besides their form."""
    types: set[str] = set()
    for number, reply in enumerate(parameters.get("replies", ())):
        field = f"replies[{number}]"
        if reply["type"] in types:
            yield Fault(f"{field}.type", f"there is a reply {reply['type']} already")
        types.add(reply["type"])
        if reply.get("failed") and "result" in reply:
            yield Fault(f"{field}.result", "is for a reply that has not failed")
        for name, expression in reply.get("result", {}).items():
            yield from expression_faults(f"{field}.result.{name}", expression, OF_A_REPLY)
    yield from correlation_faults(parameters, input_names)


def correlation_faults(parameters: Parameters, input_names: Collection[str]) -> Iterator[Fault]:
    """What is wrong with a ``correlation`` besides its form."""
    for name, expression in parameters.get("correlation", {}).items():
        field = f"correlation.{name}"
        if name not in input_names:
            yield Fault(field, f"{name} is not in the step's input")
        yield from expression_faults(field, expression, OF_A_REPLY)
