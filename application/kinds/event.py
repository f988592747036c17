"""``event``: publish a message, and take another for its answer.

Without ``replies`` the answers are those that the wire contract knows. Of a reply, ``workflowId`` is the
expression over the message (``{type, tenantId, data, metadata}``) that finds the workflow, ``when`` must
hold, ``result`` makes the step's result out of it, and one that ``fails`` tells of the failure ``error``.
"""

from collections.abc import Collection, Iterator

from application.kinds.kind import EXPRESSION, MESSAGE_TYPE, Parameters, StepKind, parameters
from domain.definition_rules import expression_faults
from domain.faults import Fault

_REPLY = parameters(
    {
        "type": MESSAGE_TYPE,
        "workflowId": EXPRESSION,
        "when": EXPRESSION,
        "fails": {"type": "boolean"},
        "result": {
            "type": "object",
            "maxProperties": 100,
            "propertyNames": {"minLength": 1, "maxLength": 128},
            "additionalProperties": EXPRESSION,
        },
        "error": EXPRESSION,
    },
    required=["type"],
)


def _more(parameters: Parameters, input_names: Collection[str]) -> list[Fault]:
    return [
        fault
        for number, reply in enumerate(parameters.get("replies", ()))
        for fault in _reply(f"replies[{number}]", reply)
    ]


def _reply(field: str, reply: Parameters) -> Iterator[Fault]:
    for name in ("workflowId", "when", "error"):
        if name in reply:
            yield from expression_faults(f"{field}.{name}", reply[name])
    for name, expression in reply.get("result", {}).items():
        yield from expression_faults(f"{field}.result.{name}", expression)
    if reply.get("fails") and "result" in reply:
        yield Fault(f"{field}.result", "is for a reply that does not fail")
    if not reply.get("fails") and "error" in reply:
        yield Fault(f"{field}.error", "is for a reply that fails")


EVENT = StepKind(
    name="event",
    schema=parameters(
        {
            "request": MESSAGE_TYPE,
            "replies": {"type": "array", "minItems": 1, "maxItems": 20, "items": _REPLY},
        },
        required=["request"],
    ),
    more=_more,
)
