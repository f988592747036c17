"""What happens to a workflow.

``concurrency_group`` is the group whose runs wait for each other; on an event that ends a workflow, the one
in which it makes room by that. So with the ``parent``, whose step waits for a workflow: on an event that ends
it, the step that learns of it by that. Neither is told before what was done is undone, as far as it can be.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.definition import Announcements, FailureReason, StepDefinition
from domain.event import Event, stored_as
from domain.values import StepRef


def _started_2(stored: dict[str, Any]) -> dict[str, Any]:
    """Version 1 knew opportunity-analysis alone, whose steps are requests without an order."""
    steps = [
        {
            "step_type": step["step_type"],
            "parameters": {"request": step["request_type"]},
            "result_key": step["result_key"],
            "critical": step["critical"],
            "timeout_seconds": step["timeout_seconds"],
        }
        for step in stored["steps"]
    ]
    names = ("started", "completed", "failed")
    told = {name: f"workflow.opportunity.analysis.{name}" for name in names}
    return {**stored, "steps": steps, "announcements": told}


def _dispatched_2(stored: dict[str, Any]) -> dict[str, Any]:
    stored = dict(stored)
    return {**stored, "kind": "event", "parameters": {"request": stored.pop("request_type")}, "input": {}}


def _told_2(outcome: str) -> Any:
    return lambda stored: {**stored, "announced_as": f"workflow.opportunity.analysis.{outcome}"}


@stored_as("workflow.queued")
class WorkflowQueued(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A workflow that somebody has asked for waits until others of its group have ended."""

    workflow_id: str
    opportunity_id: str | None = None
    definition: str
    definition_version: int
    execution_id: str
    queued_at: datetime
    input: Mapping[str, Any] | None = None
    concurrency_group: str | None = None


@stored_as(
    "workflow.started",
    version=4,
    upcasters={1: _started_2, 2: lambda stored: stored, 3: lambda stored: stored},
)
class WorkflowStarted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A workflow began, with the plan that it keeps whatever becomes of the definition.

    It may do so for a step of a ``parent``; ``depth`` counts how far down it is, and ``breadth`` how many
    there may be of its kind: see :attr:`Workflow.breadth`. ``started_by`` is the person who started the one
    whose step began it, whether or not that waits for it. ``chain`` names the definitions of the workflows
    that led to it by what they told, the earliest first.
    """

    workflow_id: str
    opportunity_id: str | None = None
    concurrency_group: str | None = None
    definition: str
    definition_version: int
    execution_id: str
    steps: tuple[StepDefinition, ...]
    started_at: datetime
    input: Mapping[str, Any] | None = None
    deadline_seconds: float | None = None
    deadline_at: datetime | None = None
    announcements: Announcements = Announcements()
    parent: StepRef | None = None
    depth: int = 0
    breadth: int = 1
    started_by: str | None = None
    chain: tuple[str, ...] = ()


@stored_as(
    "workflow.step_dispatched",
    version=5,
    upcasters={
        1: _dispatched_2,
        2: lambda stored: stored,
        3: lambda stored: stored,
        4: lambda stored: stored,
    },
)
class StepDispatched(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step is to be carried out as its ``kind`` says; without an answer it fails at ``deadline_at``.

    ``reason`` is why somebody has it tried again. Of a ``void`` one there is nothing to carry out: its input
    could not be made, and it fails at once. Of a compensation, ``done_again`` is how often its step was
    completed once more since it was first asked for: what differs in that is to be carried out again, though
    all else is the same.
    """

    workflow_id: str
    opportunity_id: str | None = None
    execution_id: str
    step_id: str
    step_type: str
    kind: str
    parameters: Mapping[str, Any] = {}
    input: Mapping[str, Any] = {}
    attempt: int
    dispatched_at: datetime
    deadline_at: datetime | None = None
    item: int | None = None
    depth: int = 0
    breadth: int = 1
    reason: str | None = None
    void: bool = False
    done_again: int = 0


@stored_as("workflow.step_mapped", version=2, upcasters={1: lambda stored: stored})
class StepMapped(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A ``map`` step has found the elements that it is to do its work for; ``reason`` as for a dispatch."""

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    elements: tuple[Any, ...]
    attempt: int
    mapped_at: datetime
    deadline_at: datetime | None = None
    reason: str | None = None


@stored_as("workflow.step_completed", version=2, upcasters={1: lambda stored: stored})
class StepCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step's answer has come."""

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    attempt: int
    result: Any
    completed_at: datetime
    kind: str = "event"


@stored_as("workflow.step_failed", version=3, upcasters={1: lambda stored: stored, 2: lambda stored: stored})
class StepFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step has failed; it is tried again at ``retry_at``, if that is said. Of an ``unsettled`` one a child
    is under way still, and cancelled for that: a :class:`StepSettled` tells when it has ended.
    """

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    attempt: int
    error: str
    reason: FailureReason
    failed_at: datetime
    retry_at: datetime | None = None
    kind: str = "event"
    unsettled: bool = False


@stored_as("workflow.step_held_back")
class StepHeldBack(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The pause before a step's next try is over while nothing goes out: it does with what lets it out."""

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    attempt: int
    held_back_at: datetime


@stored_as("workflow.step_skipped")
class StepSkipped(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step is left out: its condition does not hold, or an operator says so."""

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    reason: str
    by_operator: bool = False
    skipped_at: datetime


@stored_as("workflow.step_reopened")
class StepReopened(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step whose condition did not hold is looked at again: one before it, that had failed, ends anew."""

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    reopened_at: datetime


@stored_as("workflow.step_cancelled", version=2, upcasters={1: lambda stored: stored})
class StepCancelled(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody waits for a step any more; whoever is at it is told. ``unsettled`` as of a failure."""

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    kind: str
    attempt: int
    cancelled_at: datetime
    unsettled: bool = False


@stored_as("workflow.step_settled")
class StepSettled(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step's child has ended, and what it had done is undone; or, with an ``error``, is so in part.

    The last that a workflow waited for which has failed, with this ``failure``, or was cancelled, is its end:
    then it has the ``concurrency_group`` and the ``parent``.
    """

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    attempt: int
    settled_at: datetime
    error: str | None = None
    concurrency_group: str | None = None
    parent: StepRef | None = None
    failure: str | None = None


@stored_as("workflow.completed", version=2, upcasters={1: _told_2("completed")})
class WorkflowCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Every step has ended and no critical one failed."""

    workflow_id: str
    opportunity_id: str | None = None
    concurrency_group: str | None = None
    execution_id: str
    results: Mapping[str, Any]
    completed_at: datetime
    announced_as: str | None = None
    parent: StepRef | None = None


@stored_as("workflow.failed", version=2, upcasters={1: _told_2("failed")})
class WorkflowFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A critical step failed, or the workflow's deadline has passed."""

    workflow_id: str
    opportunity_id: str | None = None
    concurrency_group: str | None = None
    execution_id: str
    error: str
    failed_step: str | None = None
    failed_at: datetime
    announced_as: str | None = None
    parent: StepRef | None = None


@stored_as("workflow.cancelled")
class WorkflowCancelled(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody has put an end to it."""

    workflow_id: str
    opportunity_id: str | None = None
    concurrency_group: str | None = None
    execution_id: str
    reason: str
    cancelled_at: datetime
    parent: StepRef | None = None


@stored_as("workflow.paused")
class WorkflowPaused(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing more is dispatched; what is under way goes on, and its answers are kept. An empty ``reason``
    is none: every version has stored one.
    """

    workflow_id: str
    execution_id: str
    reason: str
    paused_at: datetime


@stored_as("workflow.resumed", version=2, upcasters={1: lambda stored: stored})
class WorkflowResumed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """It goes on."""

    workflow_id: str
    execution_id: str
    resumed_at: datetime
    reason: str | None = None


@stored_as(
    "workflow.retried",
    version=4,
    upcasters={1: lambda stored: stored, 2: lambda stored: stored, 3: lambda stored: stored},
)
class WorkflowRetried(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The next execution was opened, in which the steps of ``again`` begin anew; or, where it
    ``compensates``, the compensations that have failed. Of ``items_again``, the ``map`` steps among them from
    which on, or after which, all is done again, so are all items; of others only those that lack.
    """

    workflow_id: str
    execution_id: str
    previous_execution_id: str
    attempt: int
    retried_at: datetime
    again: tuple[str, ...] = ()
    input: Mapping[str, Any] | None = None
    deadline_at: datetime | None = None
    compensates: bool = False
    reason: str | None = None
    items_again: tuple[str, ...] = ()


@stored_as("workflow.compensation_began")
class CompensationBegan(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What the completed steps have done is undone, the latest first."""

    workflow_id: str
    execution_id: str
    began_at: datetime


@stored_as("workflow.compensated", version=2, upcasters={1: lambda stored: stored})
class WorkflowCompensated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All of it is undone. ``failure`` is why it had failed, at ``failed_step``; a cancelled one has none."""

    workflow_id: str
    execution_id: str
    compensated_at: datetime
    concurrency_group: str | None = None
    parent: StepRef | None = None
    failure: str | None = None
    failed_step: str | None = None


@stored_as("workflow.compensation_failed", version=2, upcasters={1: lambda stored: stored})
class CompensationFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A compensation has failed, or that of a step's child: part of what was done is still there. ``failure``
    is why the workflow had failed.
    """

    workflow_id: str
    execution_id: str
    failed_step: str
    error: str
    failed_at: datetime
    concurrency_group: str | None = None
    parent: StepRef | None = None
    failure: str | None = None


WorkflowEnding = (
    WorkflowCompleted
    | WorkflowFailed
    | WorkflowCancelled
    | WorkflowCompensated
    | CompensationFailed
    | StepSettled
)
"""The events of which one ends a workflow for others: it names its group, and its parent's step (ADR 42)."""
