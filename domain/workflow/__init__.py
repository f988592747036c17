"""WorkflowExecution: one workflow over all its executions.

An execution is one attempt. A retry opens the next one, keeps what is completed and dispatches again what
failed. A step that still waits for its answer when its execution fails continues to wait: its answer is kept,
and a retry does not ask for it twice.

``events`` is what happens, ``state`` and ``step`` what the rules know, ``evolution`` how events change that,
``turn`` what follows from them. ``starting``, ``answers`` and ``orders`` are the commands.
"""

from domain.values import StreamName
from domain.workflow.answers import (
    PlatformAnswer,
    complete_step,
    fail_step,
    pass_deadline,
    take_reply,
    time_out_step,
    try_step_again,
)
from domain.workflow.events import (
    CompensationBegan,
    CompensationFailed,
    StepCancelled,
    StepCompleted,
    StepDispatched,
    StepFailed,
    StepHeldBack,
    StepMapped,
    StepReopened,
    StepSettled,
    StepSkipped,
    WorkflowCancelled,
    WorkflowCompensated,
    WorkflowCompleted,
    WorkflowEnding,
    WorkflowFailed,
    WorkflowPaused,
    WorkflowQueued,
    WorkflowResumed,
    WorkflowRetried,
    WorkflowStarted,
)
from domain.workflow.evolution import evolve
from domain.workflow.orders import cancel, complete_by_hand, pause, resume, retry, retry_step, skip_step
from domain.workflow.starting import queue, start
from domain.workflow.state import Workflow
from domain.workflow.step import CHILD, Items, Step, child_id_of, execution_id_of, item_type, step_id_of

WorkflowEvent = (
    WorkflowQueued
    | WorkflowStarted
    | StepDispatched
    | StepMapped
    | StepCompleted
    | StepFailed
    | StepHeldBack
    | StepSkipped
    | StepReopened
    | StepCancelled
    | StepSettled
    | WorkflowCompleted
    | WorkflowFailed
    | WorkflowCancelled
    | WorkflowPaused
    | WorkflowResumed
    | WorkflowRetried
    | CompensationBegan
    | WorkflowCompensated
    | CompensationFailed
)
"""Every event of a workflow."""


def workflow_stream(tenant: str, workflow_id: str) -> str:
    """Return the name of a workflow's stream."""
    return str(StreamName(tenant, "workflow", workflow_id))


__all__ = [
    "CHILD",
    "CompensationBegan",
    "CompensationFailed",
    "Items",
    "PlatformAnswer",
    "Step",
    "StepCancelled",
    "StepCompleted",
    "StepDispatched",
    "StepFailed",
    "StepHeldBack",
    "StepMapped",
    "StepReopened",
    "StepSettled",
    "StepSkipped",
    "Workflow",
    "WorkflowCancelled",
    "WorkflowCompensated",
    "WorkflowCompleted",
    "WorkflowEnding",
    "WorkflowEvent",
    "WorkflowFailed",
    "WorkflowPaused",
    "WorkflowQueued",
    "WorkflowResumed",
    "WorkflowRetried",
    "WorkflowStarted",
    "cancel",
    "child_id_of",
    "complete_by_hand",
    "complete_step",
    "evolve",
    "execution_id_of",
    "fail_step",
    "item_type",
    "pass_deadline",
    "pause",
    "queue",
    "resume",
    "retry",
    "retry_step",
    "skip_step",
    "start",
    "step_id_of",
    "take_reply",
    "time_out_step",
    "try_step_again",
    "workflow_stream",
]
