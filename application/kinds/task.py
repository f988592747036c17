"""``task``: work for outside workers, who claim it from ``queue``."""

from application.kinds.kind import StepKind, parameters

TASK = StepKind(
    name="task",
    schema=parameters(
        {"queue": {"type": "string", "maxLength": 128, "pattern": r"^[a-z0-9]+([._-][a-z0-9]+)*$"}},
        required=["queue"],
    ),
    looks={"queue": "is lower-case letters and digits, joined by . _ or -, 128 characters at most"},
)
