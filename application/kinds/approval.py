"""``approval``: people decide, and the step's result is their decision. It has no parameters.

The step's ``input`` says what is to be decided. If nobody decides in the step's time, the step fails.
"""

from collections.abc import Iterator

from application.kinds.kind import StepKind, parameters
from domain.definition import Work
from domain.faults import Fault
from domain.suggestions import did_you_mean

INPUT = (
    "opportunityId",
    "riskScore",
    "amount",
    "ownerId",
    "approverId",
    "recipientId",
    "approvalUrl",
    "requestedBy",
    "subject",
    "payload",
    "policy",
    "dueAt",
)
"""The names of the input that mean something for the approval."""

_MOST_COMPARED = 20
"""How many other names are compared with them. A comparison takes some 50 µs, and a definition may have tens
of thousands of names."""


def _besides(work: Work) -> Iterator[Fault]:
    """Yield the names that are nearly one of these. Otherwise people would be asked about an amount of 0."""
    others = [name for name in work.input if name not in INPUT]
    for name in others[:_MOST_COMPARED]:
        if meant := did_you_mean(name, INPUT):
            yield Fault(f"input.{name}", f"is no part of an approval{meant}")


APPROVAL = StepKind(name="approval", schema=parameters({}), besides=_besides, timeout_seconds=None)
