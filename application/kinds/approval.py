"""``approval``: people decide, and the step's result is their decision. It has no parameters.

The step's ``input`` says what is to be decided. If nobody decides in the step's time, the step fails.
"""

from collections.abc import Iterator

from application.approval_input import NAMES, input_faults
from application.kinds.kind import StepKind, parameters
from domain.definition import Work
from domain.expressions import literal
from domain.faults import Fault, within
from domain.suggestions import did_you_mean

_MOST_COMPARED = 20
"""How many other names are compared with the approval's. A comparison takes some 50 µs, and a definition may
have tens of thousands of names."""


def _besides(work: Work) -> Iterator[Fault]:
    """Yield the names that are nearly one of an approval's, and the literals that it cannot have. Otherwise
    people would be asked about an amount of 0, or not at all."""
    others = [name for name in work.input if name not in NAMES]
    for name in others[:_MOST_COMPARED]:
        if meant := did_you_mean(name, NAMES):
            yield Fault(f"input.{name}", f"is no part of an approval{meant}")
    given = {name: literal(work.input[name], otherwise=None) for name in NAMES if name in work.input}
    yield from within("input", input_faults(given))


APPROVAL = StepKind(name="approval", schema=parameters({}), besides=_besides, timeout_seconds=None)
