"""``approval``: a person decides, and the step's result is the decision. It has no parameters.

What is to be decided stands in the step's ``input``; one that is not decided in the step's time fails it.
"""

from application.kinds.kind import StepKind, parameters

APPROVAL = StepKind(name="approval", schema=parameters({}), timeout_seconds=None)
