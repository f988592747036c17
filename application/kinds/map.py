"""``map``: a step for each element of a list. Its ``map`` says which list, and what to do. It has no
parameters."""

from application.kinds.kind import StepKind, parameters
from domain.definition import MAP as NAME

MAP = StepKind(name=NAME, schema=parameters({}), timeout_seconds=None)
