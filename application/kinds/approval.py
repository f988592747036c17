"""``approval``: a person decides, and the step's result is the decision.

Where ``rejected`` or ``expired`` say ``fail``, such an end is the step's failure; else the step completes, and
what comes after it can ask for the result. An approval that has expired fails its step if nothing is said.
"""

from application.kinds.kind import StepKind, parameters

_LEADS_TO = {"enum": ["complete", "fail"]}

APPROVAL = StepKind(
    name="approval",
    schema=parameters({"rejected": _LEADS_TO, "expired": _LEADS_TO}),
    timeout_seconds=None,
)
