"""``event``: send a message, and wait for another as its answer.

Without ``replies`` the answers are those of the wire contract. ``correlation`` distinguishes replies to
several steps of a workflow.
"""

from collections.abc import Collection

from application.kinds.kind import MESSAGE_TYPE, MESSAGE_TYPE_LOOKS, Parameters, StepKind, parameters
from application.reply_rules import CORRELATION, REPLIES, reply_faults
from domain.faults import Fault


def _more(parameters: Parameters, input_names: Collection[str]) -> list[Fault]:
    return list(reply_faults(parameters, input_names))


EVENT = StepKind(
    name="event",
    schema=parameters(
        {
            "request": MESSAGE_TYPE,
            "replies": REPLIES,
            "correlation": CORRELATION,
        },
        required=["request"],
    ),
    looks={"request": MESSAGE_TYPE_LOOKS},
    more=_more,
)
