"""The commands about workflows and their runs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from application.command import Command
from domain.definition import FailureReason
from domain.values import StepRef
from domain.workflow import PlatformAnswer


class QueueWorkflow(Command, frozen=True, kw_only=True):
    """Let a workflow wait until the runs of its group let it start. ``accepted``: as for a start."""

    workflow_id: str
    opportunity_id: str | None = None
    definition: str
    version: int | None = None
    input: Mapping[str, Any] | None = None
    concurrency_group: str
    accepted: bool = False


class RequestRun(Command, frozen=True, kw_only=True):
    """Ask for a run of a definition, as its concurrency allows.

    An ``explicit`` request comes from somebody who uses its ``workflow_id``. Any other may be coalesced with
    what already waits. ``chain`` names the definitions of the workflows whose messages led to it.
    """

    workflow_id: str
    opportunity_id: str | None = None
    definition: str
    version: int | None = None
    input: Mapping[str, Any] | None = None
    explicit: bool = False
    chain: tuple[str, ...] = ()


class PassDebounce(Command, frozen=True, kw_only=True):
    """Start what a group has held back until ``due_at``."""

    group: str
    workflow_id: str
    due_at: datetime


class EndRun(Command, frozen=True, kw_only=True):
    """Tell a group that a workflow has ended."""

    group: str
    workflow_id: str


class StartWorkflow(Command, frozen=True, kw_only=True):
    """Run a definition, in its newest version if none is named, for an opportunity if it needs one.

    A start that was ``accepted`` before, and waited, uses the version of that time, even if it is retired
    since. For a ``parent``'s step, ``depth`` counts the levels above it, and ``breadth`` how many workflows
    may be beside it. ``begun_by`` is the workflow whose step it is, even if the step does not wait for it.
    ``chain`` names the definitions of the workflows whose messages led to it.
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
    begun_by: str | None = None
    chain: tuple[str, ...] = ()
    accepted: bool = False


class CompleteStep(Command, frozen=True, kw_only=True):
    """Store the answer to a step, which is named by its type or id. ``attempt`` says to which dispatch, if
    known."""

    workflow_id: str
    step: str
    result: Any
    attempt: int | None = None


class FailStep(Command, frozen=True, kw_only=True):
    """Store the report that a step failed. ``attempt`` says at which dispatch, if known. If the step was a
    workflow, ``left_undone`` says that its effects were not undone."""

    workflow_id: str
    step: str
    error: str
    reason: FailureReason = "reported"
    attempt: int | None = None
    left_undone: bool = False


class TakeReply(Command, frozen=True, kw_only=True):
    """Handle a message: for the ``answer`` that the wire contract knows it as, or as a reply to a request, as
    the workflow's definition names it."""

    workflow_id: str
    message_type: str
    data: Mapping[str, Any]
    answer: PlatformAnswer | None = None


class TimeOutStep(Command, frozen=True, kw_only=True):
    """Give up on a step's ``attempt`` that was not answered by ``due_at``, its deadline."""

    workflow_id: str
    step: str
    attempt: int
    due_at: datetime


class TryStepAgain(Command, frozen=True, kw_only=True):
    """Dispatch a step again after its failed ``attempt``. The pause was over at ``due_at``."""

    workflow_id: str
    step: str
    attempt: int
    due_at: datetime


class PassDeadline(Command, frozen=True, kw_only=True):
    """End an execution that has not ended by ``due_at``, the workflow's deadline."""

    workflow_id: str
    execution_id: str
    due_at: datetime


class RetryWorkflow(Command, frozen=True, kw_only=True):
    """Open the next execution of a workflow: of what failed, or from a step on, then with other input.
    ``may_do_all``: an operator."""

    workflow_id: str
    from_step: str | None = None
    input: Mapping[str, Any] | None = None
    reason: str | None = None
    may_do_all: bool = False


class CancelWorkflow(Command, frozen=True, kw_only=True):
    """End a workflow, and undo what can be undone. ``may_do_all``: an operator, or the service itself."""

    workflow_id: str
    reason: str
    may_do_all: bool = False


class PauseWorkflow(Command, frozen=True, kw_only=True):
    """Dispatch no more steps of a workflow."""

    workflow_id: str
    reason: str | None = None


class ResumeWorkflow(Command, frozen=True, kw_only=True):
    """Continue a paused workflow."""

    workflow_id: str
    reason: str | None = None


class SkipStep(Command, frozen=True, kw_only=True):
    """Skip a step. ``may_do_all``: an operator."""

    workflow_id: str
    step_id: str
    reason: str
    may_do_all: bool = False


class CompleteStepByHand(Command, frozen=True, kw_only=True):
    """Give a step the result that the caller knows. ``may_do_all``: an operator."""

    workflow_id: str
    step_id: str
    result: Any
    may_do_all: bool = False


class RetryStep(Command, frozen=True, kw_only=True):
    """Retry a failed step of a running workflow."""

    workflow_id: str
    step_id: str
    reason: str | None = None
