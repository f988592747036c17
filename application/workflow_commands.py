"""What can be asked of workflows and of their runs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from application.command import Command
from domain.definition import FailureReason
from domain.values import StepRef
from domain.workflow import PlatformAnswer


class QueueWorkflow(Command, frozen=True, kw_only=True):
    """Let a workflow wait until the runs of its group let it start; ``accepted`` as for a start."""

    workflow_id: str
    opportunity_id: str | None = None
    definition: str
    version: int | None = None
    input: Mapping[str, Any] | None = None
    concurrency_group: str
    accepted: bool = False


class RequestRun(Command, frozen=True, kw_only=True):
    """Ask for a run of a definition, as its concurrency allows.

    An ``explicit`` one is asked for by somebody who goes by its ``workflow_id``; another may be coalesced
    with what already waits. ``chain`` names the definitions of the workflows that led to it by what they
    told.
    """

    workflow_id: str
    opportunity_id: str | None = None
    definition: str
    version: int | None = None
    input: Mapping[str, Any] | None = None
    explicit: bool = False
    chain: tuple[str, ...] = ()


class PassDebounce(Command, frozen=True, kw_only=True):
    """Let a start of a group begin that has waited until ``due_at``."""

    group: str
    workflow_id: str
    due_at: datetime


class EndRun(Command, frozen=True, kw_only=True):
    """Tell a group that a workflow has ended."""

    group: str
    workflow_id: str


class StartWorkflow(Command, frozen=True, kw_only=True):
    """Run a definition, its newest version if none is named; for an opportunity, where it needs one.

    One that was ``accepted`` before, and waited, begins in the version of then, though that is retired since.
    For a ``parent``'s step, ``depth`` counts how far down it is, ``breadth`` how many may stand beside it.
    ``begun_by`` is the workflow whose step it is, also where that does not wait for it; ``chain``
    names the definitions of those that led to one by what they told.
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
    """Take the answer to a step, named by its type or id; ``attempt`` tells to which dispatch, if known."""

    workflow_id: str
    step: str
    result: Any
    attempt: int | None = None


class FailStep(Command, frozen=True, kw_only=True):
    """Take the report that a step failed; ``attempt`` tells at which dispatch, if known. Of one that is a
    workflow of its own there may be ``left_undone`` what that had done.
    """

    workflow_id: str
    step: str
    error: str
    reason: FailureReason = "reported"
    attempt: int | None = None
    left_undone: bool = False


class TakeReply(Command, frozen=True, kw_only=True):
    """Take a message for the ``answer`` that the wire contract knows it for, or for a reply to a request, as
    the workflow's definition names it."""

    workflow_id: str
    message_type: str
    data: Mapping[str, Any]
    answer: PlatformAnswer | None = None


class TimeOutStep(Command, frozen=True, kw_only=True):
    """Give up on a step's ``attempt`` that has not been answered by ``due_at``, its deadline."""

    workflow_id: str
    step: str
    attempt: int
    due_at: datetime


class TryStepAgain(Command, frozen=True, kw_only=True):
    """Dispatch a step again after its failed ``attempt``: the pause is over at ``due_at``."""

    workflow_id: str
    step: str
    attempt: int
    due_at: datetime


class PassDeadline(Command, frozen=True, kw_only=True):
    """End an execution that has not come to its end by ``due_at``, the workflow's deadline."""

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
    """Dispatch nothing more of a workflow."""

    workflow_id: str
    reason: str | None = None


class ResumeWorkflow(Command, frozen=True, kw_only=True):
    """Let a paused workflow go on."""

    workflow_id: str
    reason: str | None = None


class SkipStep(Command, frozen=True, kw_only=True):
    """Leave a step out. ``may_do_all``: an operator."""

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
    """Try a failed step of a running workflow again."""

    workflow_id: str
    step_id: str
    reason: str | None = None
