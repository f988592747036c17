"""``workflow``: start another workflow, and wait for its end unless ``await`` is false."""

from application.kinds.kind import StepKind, parameters
from domain import definition_rules

WORKFLOW = StepKind(
    name="workflow",
    schema=parameters(
        {
            "definition": {
                "type": "string",
                "maxLength": 128,
                "pattern": f"^{definition_rules.NAME.pattern}$",
            },
            "version": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
            "await": {"type": "boolean"},
        },
        required=["definition"],
    ),
    looks={
        "definition": "must be the name of a definition: lower-case letters and digits, joined by - . or _"
    },
    timeout_seconds=None,
)
