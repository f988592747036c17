"""When this event happens, give these commands: what all policies of that form share."""

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
    """A rule without memory. The ids of its commands come from the event, so a repeat is harmless."""

    name: str
    wants: Interest
    """The events that lead to commands."""

    def commands(self, recorded: Recorded) -> Sequence[Command]:
        """Return the commands that follow from the event."""
        ...

    def after_refusal(self, recorded: Recorded, refusal: Refusal) -> Sequence[Command]:
        """Return the commands that follow if a command was refused."""
        ...


class Reaction:
    """A follower's handler that gives a policy's commands. After a refused command, it gives no more commands
    for that event.

    Events about one step, or else of one stream, are handled in their order, others concurrently. An event
    that fails does not hold up the others. One that fails again and again fails the step that it is about, or
    counts as refused.
    """

    may_repeat_unnoticed = True

    def __init__(self, policy: Policy, dispatch: Dispatcher) -> None:
        self.name = policy.name
        self.wants = policy.wants
        self._policy = policy
        self._dispatch = dispatch
        self._giving_up = GivingUp(policy.name)

    async def start_over(self) -> None:
        """Do nothing: commands that were given stay given, and the same commands again change nothing."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Give the commands for the batch.

        Raises:
            StoreUnavailable: some commands were not handled; the batch must come again.
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
        """Fail the step that waits for the outcome of the event, so that its workflow continues. If no step
        waits, do what the policy does after a refusal."""
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
    """Return the command that fails the step that waits for the outcome of an event, because there is
    none."""
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
    """Give a command. If it is refused, log and return the refusal, which is an answer."""
    try:
        await dispatch(command)
    except Refusal as refusal:
        log.info("policy_refused", policy=policy, code=refusal.code, reason=refusal.in_a_line)
        return refusal
    return None


def error_within(policy: str) -> str:
    """Return the error that people see if a policy fails on something."""
    return f"an internal error ({policy}); see the log of the service"


def because_of(recorded: Recorded, policy: str, purpose: str = "") -> Metadata:
    """Return the metadata of a policy's command. ``purpose`` tells several commands of one event apart."""
    return recorded.leads_to(derived_id(policy, recorded.identity, purpose), actor=f"system:{policy}")


def text_of(value: object) -> str | None:
    """Return a value from an input if it is a text that is not empty."""
    return value if isinstance(value, str) and value else None
