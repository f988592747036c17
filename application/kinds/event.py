"""``event``: publish a message, and take another for its answer.

Without ``replies`` the answers are those that the wire contract knows. Of a reply, ``result`` maps names to
expressions over the message (``data``), and without it the data are the result; one that has ``failed`` tells
in ``data.error`` why. ``correlation`` tells replies to several steps of a workflow apart.
"""

from collections.abc import Collection

from application.kinds.kind import (
    CORRELATION,
    EXPRESSION,
    MESSAGE_TYPE,
    MESSAGE_TYPE_LOOKS,
    Parameters,
    StepKind,
    correlation_faults,
    parameters,
)
from domain.definition_rules import expression_faults
from domain.faults import Fault

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


def _more(parameters: Parameters, input_names: Collection[str]) -> list[Fault]:
    faults: list[Fault] = []
    types: set[str] = set()
    for number, reply in enumerate(parameters.get("replies", ())):
        field = f"replies[{number}]"
        if reply["type"] in types:
            faults.append(Fault(f"{field}.type", f"there is a reply {reply['type']} already"))
        types.add(reply["type"])
        if reply.get("failed") and "result" in reply:
            faults.append(Fault(f"{field}.result", "is for a reply that has not failed"))
        for name, expression in reply.get("result", {}).items():
            faults.extend(expression_faults(f"{field}.result.{name}", expression))
    return [*faults, *correlation_faults(parameters, input_names)]


EVENT = StepKind(
    name="event",
    schema=parameters(
        {
            "request": MESSAGE_TYPE,
            "replies": {"type": "array", "minItems": 1, "maxItems": 20, "items": _REPLY},
            "correlation": CORRELATION,
        },
        required=["request"],
    ),
    looks={"request": MESSAGE_TYPE_LOOKS},
    more=_more,
)
