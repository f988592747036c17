"""``event``: publish a message, and take another for its answer.

Without ``replies`` the answers are those that the wire contract knows. ``correlation`` tells replies to
several steps of a workflow apart.
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
