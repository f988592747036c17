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
    types: set[str | None] = set()
    for number, reply in enumerate(parameters.get("replies") or ()):
        field = f"replies[{number}]"
        told = reply.get("type")
        if told is not None and told in types:
            yield Fault(f"{field}.type", f"another reply already has the type {told}")
        types.add(told)
        if reply.get("failed") and "result" in reply:
            yield Fault(f"{field}.result", "is only for a reply without failed: true")
        for name, expression in (reply.get("result") or {}).items():
            yield from _expression(f"{field}.result.{name}", expression)
    yield from correlation_faults(parameters, input_names)


def correlation_faults(parameters: Parameters, input_names: Collection[str]) -> Iterator[Fault]:
    """What is wrong with a ``correlation`` besides its form."""
    for name, expression in (parameters.get("correlation") or {}).items():
        field = f"correlation.{name}"
        if name not in input_names:
            yield Fault(field, f"{name} is not in the step's input")
        yield from _expression(field, expression)


def _expression(field: str, expression: str | None) -> Iterator[Fault]:
    if expression is not None:
        yield from expression_faults(field, expression, OF_A_REPLY)
