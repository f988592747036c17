"""Everything that the service can be asked to do, in imperative names.

``meta`` says who asks, for which tenant and through what; its ``command_id`` makes a repeated
command harmless. ``expected_version`` is the version the caller has seen (``If-Match``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.definition import FailureReason, WorkflowDefinition
from domain.event import Metadata
from domain.values import StepRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What all commands carry."""

    meta: Metadata
    expected_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueWorkflow(Command):
    """Let a workflow wait until the runs of its group let it start."""

    workflow_id: str
    opportunity_id: str | None = None
    definition: str
    version: int | None = None
    input: Mapping[str, Any] | None = None
    concurrency_group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRun(Command):
    """Ask for a run of a definition, as its concurrency allows.

    An ``explicit`` one is asked for by somebody who goes by its ``workflow_id``; another may be coalesced
    with what already waits.
    """

    workflow_id: str
    opportunity_id: str | None = None
    definition: str
    version: int | None = None
    input: Mapping[str, Any] | None = None
    explicit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PassDebounce(Command):
    """Let a start of a group begin that has waited until ``due_at``."""

    group: str
    workflow_id: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRun(Command):
    """Tell a group that a workflow has ended."""

    group: str
    workflow_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWorkflow(Command):
    """Run a definition, its newest version if none is named; for an opportunity, where it needs one.

    For a ``parent``'s step, ``depth`` counts how far down it is, ``breadth`` how many may stand beside it.
    """

    workflow_id: str
    opportunity_id: str | None = None
    concurrency_group: str | None = None
    definition: str
    version: int | None = None
    input: Mapping[str, Any] | None = None
    parent: StepRef | None = None
    depth: int = 0
    breadth: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteStep(Command):
    """Take the answer to a step, named by its type or id; ``attempt`` tells to which dispatch, if known."""

    workflow_id: str
    step: str
    result: Any
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailStep(Command):
    """Take the report that a step failed; ``attempt`` tells at which dispatch, if known."""

    workflow_id: str
    step: str
    error: str
    reason: FailureReason = "reported"
    attempt: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeReply(Command):
    """Take a message of a type that a workflow's definition names as a reply to one of its requests."""

    workflow_id: str
    message_type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeOutStep(Command):
    """Give up on a step's ``attempt`` that has not been answered by ``due_at``, its deadline."""

    workflow_id: str
    step: str
    attempt: int
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TryStepAgain(Command):
    """Dispatch a step again after its failed ``attempt``: the pause is over at ``due_at``."""

    workflow_id: str
    step: str
    attempt: int
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PassDeadline(Command):
    """End an execution that has not come to its end by ``due_at``, the workflow's deadline."""

    workflow_id: str
    execution_id: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryWorkflow(Command):
    """Open the next execution of a workflow: of what failed, or from a step on, then with other input."""

    workflow_id: str
    from_step: str | None = None
    input: Mapping[str, Any] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWorkflow(Command):
    """End a workflow, and undo what can be undone."""

    workflow_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseWorkflow(Command):
    """Dispatch nothing more of a workflow."""

    workflow_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeWorkflow(Command):
    """Let a paused workflow go on."""

    workflow_id: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipStep(Command):
    """Leave a step out."""

    workflow_id: str
    step_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteStepByHand(Command):
    """Give a step the result that an operator knows."""

    workflow_id: str
    step_id: str
    result: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryStep(Command):
    """Try a failed step of a running workflow again."""

    workflow_id: str
    step_id: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishDefinition(Command):
    """Publish the next version of a tenant's own definition; ``as_new`` if there should be none yet."""

    definition: WorkflowDefinition
    as_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireDefinition(Command):
    """Let a tenant's own definition start no more workflows: all its versions if none is named."""

    name: str
    version: int | None = None
