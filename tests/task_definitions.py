"""A service with definitions that have tasks: in this process, or by ``python -m tests.task_definitions
serve``."""

from collections.abc import Sequence

from application.catalogue import ShippedDefinitions
from domain.definition import Retry, StepDefinition, WorkflowDefinition

QUEUE = "reports"

ONE_TASK = WorkflowDefinition(
    name="one-task",
    version=1,
    steps=(
        StepDefinition(
            step_type="write_report",
            kind="task",
            parameters={"queue": QUEUE},
            input={"number": "input.number", "opportunity": "workflow.opportunityId"},
            result_key="report",
            critical=True,
            timeout_seconds=120.0,
            retry=Retry(attempts=2, delay_seconds=0.01),
        ),
    ),
)

SHORT_TASK = WorkflowDefinition(
    name="short-task",
    version=1,
    steps=(
        StepDefinition(
            step_type="write_report",
            kind="task",
            parameters={"queue": QUEUE},
            result_key="report",
            timeout_seconds=1.0,
        ),
    ),
)

NO_QUEUE = WorkflowDefinition(
    name="no-queue",
    version=1,
    steps=(StepDefinition(step_type="anything", kind="task", result_key="anything"),),
)


class WithTasks(ShippedDefinitions):
    """The shipped definitions and these."""

    def __init__(self, shipped: Sequence[WorkflowDefinition]) -> None:
        super().__init__([*shipped, ONE_TASK, SHORT_TASK, NO_QUEUE])


if __name__ == "__main__":
    from config import foundation
    from config.main import main

    vars(foundation)["ShippedDefinitions"] = WithTasks
    main()
