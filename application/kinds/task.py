"""``task``: work for outside workers, who claim it from ``queue``."""

from application.kinds.kind import StepKind, parameters

QUEUE = r"^[a-z0-9]+([._-][a-z0-9]+)*$"
LONGEST_QUEUE = 128
A_QUEUE_IS = f"lower-case letters and digits, joined by . _ or -, at most {LONGEST_QUEUE} characters"

TASK = StepKind(
    name="task",
    schema=parameters(
        {"queue": {"type": "string", "maxLength": LONGEST_QUEUE, "pattern": QUEUE}},
        required=["queue"],
    ),
    looks={"queue": f"must be {A_QUEUE_IS}"},
)
