"""When this event, then those commands: what the policies that are no more than that have in common."""

from collections.abc import Sequence
from typing import Protocol

import structlog

from application.command import Command
from application.dispatcher import Dispatcher
from application.policies.giving_up import GivingUp
from application.side_by_side import outcomes_of, raise_first
from application.workflow_commands import FailStep
from domain.approval import ApprovalApproved, ApprovalExpired, ApprovalRejected, ApprovalWithdrawn
from domain.errors import Refusal
from domain.event import Event, Metadata, Recorded
from domain.interest import Interest
from domain.lease import Lease
from domain.task import TaskCompleted, TaskFailed
from domain.values import StepRef, derived_id
from domain.workflow import StepDispatched, WorkflowEnding

_AT_ONCE = 32

log = structlog.get_logger(__name__)


class Policy(Protocol):
    """A rule without a memory. Its commands' ids come from the event, so that a repeat is harmless."""

    name: str
    wants: Interest
    """The events that lead to anything."""

    def commands(self, recorded: Recorded) -> Sequence[Command]:
        """What follows from the event."""
        ...

    def after_refusal(self, recorded: Recorded, refusal: Refusal) -> Sequence[Command]:
        """What follows where a command was refused."""
        ...


class Reaction:
    """A follower's handler: gives a policy's commands; after one that is refused, no more of that event.

    Those about one step, or else of one stream, in their order; the others side by side. What fails does not
    keep the rest back; what breaks again and again fails the step that it is about, or is as good as refused.
    """

    may_repeat_unnoticed = True

    def __init__(self, policy: Policy, dispatch: Dispatcher) -> None:
        self.name = policy.name
        self.wants = policy.wants
        self._policy = policy
        self._dispatch = dispatch
        self._giving_up = GivingUp(policy.name)

    async def start_over(self) -> None:
        """What was commanded stays so; the same commands again change nothing."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Give the commands of the batch.

        Raises:
            StoreUnavailable: some are not taken; the batch is to be handled again.
            LeaseLost: the rest is for another instance.
        """
        histories: dict[tuple[str, str], list[Recorded]] = {}
        for recorded in events:
            about = getattr(recorded.event, "step_id", recorded.stream)
            histories.setdefault((recorded.meta.tenant, about), []).append(recorded)

        async def react(history: Sequence[Recorded]) -> None:
            for recorded in history:
                lease.check()
                await self._giving_up.act(recorded, self._react, self._give_up)

        raise_first(await outcomes_of(react, histories.values(), at_once=_AT_ONCE))

    async def _react(self, recorded: Recorded) -> None:
        for command in self._policy.commands(recorded):
            refusal = await refusal_of(self._dispatch, command, self.name)
            if refusal is not None:
                for instead in self._policy.after_refusal(recorded, refusal):
                    await self._dispatch(instead)
                return

    async def _give_up(self, recorded: Recorded) -> None:
        """What the event is about cannot be gone on with: its workflow is told, and goes on. Where it is of
        none, the policy does what it does after a refusal.
        """
        error = error_within(self.name)
        if _step_of(recorded.event) is not None:
            await self._dispatch(rejected(recorded, self.name, error, "give up"))
            return
        for instead in self._policy.after_refusal(recorded, Refusal(error)):
            await self._dispatch(instead)


def _step_of(event: Event) -> StepRef | None:
    """Return the step that waits for what comes of an event, if there is one."""
    if isinstance(event, WorkflowEnding):
        return event.parent
    match event:
        case StepDispatched() | TaskCompleted() | TaskFailed():
            return StepRef(workflow_id=event.workflow_id, step_id=event.step_id, attempt=event.attempt)
        case ApprovalApproved() | ApprovalRejected() | ApprovalExpired() | ApprovalWithdrawn():
            return event.step
    return None


def rejected(recorded: Recorded, policy: str, error: str, purpose: str = "") -> FailStep:
    """What the step that waits for what comes of an event is told, where that is nothing."""
    step = _step_of(recorded.event)
    assert step is not None, f"no step waits for what comes of {recorded.event!r}"
    return FailStep(
        meta=because_of(recorded, policy, purpose),
        workflow_id=step.workflow_id,
        step=step.step_id,
        attempt=step.attempt,
        error=error,
        reason="rejected",
    )


async def refusal_of(dispatch: Dispatcher, command: Command, policy: str) -> Refusal | None:
    """Give a command; why it was refused, which is an answer, and logged."""
    try:
        await dispatch(command)
    except Refusal as refusal:
        log.info("policy_refused", policy=policy, code=refusal.code, reason=refusal.in_a_line)
        return refusal
    return None


def error_within(policy: str) -> str:
    """What is told outside of something that a policy broke on."""
    return f"an internal error ({policy}); see the log of the service"


def because_of(recorded: Recorded, policy: str, purpose: str = "") -> Metadata:
    """Return the metadata of a policy's command. ``purpose`` tells several commands of one event apart."""
    return recorded.leads_to(derived_id(policy, recorded.identity, purpose), actor=f"system:{policy}")


def text_of(value: object) -> str | None:
    """A text, where an input has one."""
    return value if isinstance(value, str) and value else None
