"""``workflow``: start another, and wait for its end unless ``await`` is false."""

from application.kinds.kind import NAME, StepKind, parameters

WORKFLOW = StepKind(
    name="workflow",
    schema=parameters(
        {
            "definition": NAME,
            "version": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
            "await": {"type": "boolean"},
        },
        required=["definition"],
    ),
    timeout_seconds=None,
)
