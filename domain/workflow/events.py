"""What can happen to a workflow.

``concurrency_group`` is the group whose runs wait for each other. On an event that ends a workflow, it is the
group in which that makes room. Likewise ``parent`` is the step that waits for a workflow; on an event that
ends the workflow, it is the step that learns of the end. Neither is set before what was done is undone, as
far as possible.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.definition import Announcements, FailureReason, StepDefinition
from domain.event import Event, stored_as
from domain.values import StepRef


def _started_2(stored: dict[str, Any]) -> dict[str, Any]:
    """Version 1 only knew opportunity-analysis, whose steps are requests without an order."""
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

    It may begin for a step of a ``parent``. ``depth`` counts the levels above it, and ``breadth`` how many of
    its kind there may be: see :attr:`Workflow.breadth`. ``started_by`` is the person who started the workflow
    whose step began it, whether or not that waits for it. ``chain`` names the definitions of the workflows
    whose messages led to it, the earliest first.
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
    """A step is to be carried out as its ``kind`` says. Without an answer it fails at ``deadline_at``.

    ``reason`` is why somebody has it retried. A ``void`` dispatch is not carried out: its input could not be
    made, and the step fails at once. For a compensation, ``done_again`` counts how often its step was
    completed again since the compensation was first asked for: if that differs it has to be carried out
    again, although everything else is the same.
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
    """A ``map`` step has found the elements for which it does its work. ``reason`` is as for a dispatch."""

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
    """A step has failed. It is retried at ``retry_at``, if that is given. If it is ``unsettled``, a child is
    still under way, and is cancelled because of this; a :class:`StepSettled` reports when it has ended."""

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
    """The pause before a step's next try is over while nothing is dispatched. Whatever lets steps out later
    dispatches it."""

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    attempt: int
    held_back_at: datetime


@stored_as("workflow.step_skipped")
class StepSkipped(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step is skipped: its condition does not hold, or an operator skips it."""

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    reason: str
    by_operator: bool = False
    skipped_at: datetime


@stored_as("workflow.step_reopened")
class StepReopened(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step whose condition did not hold is decided again, because a step before it, which had failed, ends
    again."""

    workflow_id: str
    execution_id: str
    step_id: str
    step_type: str
    reopened_at: datetime


@stored_as("workflow.step_cancelled", version=2, upcasters={1: lambda stored: stored})
class StepCancelled(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody waits for a step any more, and whoever works on it is told. ``unsettled`` is as for a
    failure."""

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
    """A step's child has ended, and what it had done is undone; with an ``error``, only in part.

    If the workflow has failed, with this ``failure``, or was cancelled, the last such event that it waits for
    is its end. Then it has the ``concurrency_group`` and the ``parent``.
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
    """Every step has ended, and no critical one failed."""

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
    """Somebody has cancelled it."""

    workflow_id: str
    opportunity_id: str | None = None
    concurrency_group: str | None = None
    execution_id: str
    reason: str
    cancelled_at: datetime
    parent: StepRef | None = None


@stored_as("workflow.paused")
class WorkflowPaused(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing more is dispatched. What is under way continues, and its answers are kept. An empty ``reason``
    means none, because every version has stored one."""

    workflow_id: str
    execution_id: str
    reason: str
    paused_at: datetime


@stored_as("workflow.resumed", version=2, upcasters={1: lambda stored: stored})
class WorkflowResumed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """It continues."""

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
    """The next execution was opened, in which the steps of ``again`` begin again; or, if it ``compensates``,
    the compensations that have failed. ``items_again`` are the ``map`` steps among them whose items are all
    done again, because everything from a step on, or after it, is done again. Of other ``map`` steps only the
    missing items are."""

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
    """What the completed steps have done is being undone, the latest first."""

    workflow_id: str
    execution_id: str
    began_at: datetime


@stored_as("workflow.compensated", version=2, upcasters={1: lambda stored: stored})
class WorkflowCompensated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All of it is undone. ``failure`` is why it had failed, at ``failed_step``; a cancelled workflow has
    none."""

    workflow_id: str
    execution_id: str
    compensated_at: datetime
    concurrency_group: str | None = None
    parent: StepRef | None = None
    failure: str | None = None
    failed_step: str | None = None


@stored_as("workflow.compensation_failed", version=2, upcasters={1: lambda stored: stored})
class CompensationFailed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A compensation has failed, or that of a step's child: part of what was done remains. ``failure`` is why
    the workflow had failed."""

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
