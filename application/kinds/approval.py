"""``approval``: people decide, and the step's result is their decision. It has no parameters.

The step's ``input`` says what is to be decided. If nobody decides in the step's time, the step fails.
"""

from application.kinds.kind import StepKind, parameters

APPROVAL = StepKind(name="approval", schema=parameters({}), timeout_seconds=None)
