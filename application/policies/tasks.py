"""Steps of kind ``task``: each dispatch offers a task, and what the worker says becomes the answer."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import structlog

from application.commands import Command, CompleteStep, FailStep
from application.dispatcher import Dispatcher
from application.task_commands import OfferTask, RevokeTask
from domain.definition import FailureReason
from domain.errors import Refusal
from domain.event import Event, Metadata, Recorded
from domain.lease import Lease
from domain.task import TaskCompleted, TaskFailed, task_id_of
from domain.values import derived_id
from domain.workflow import StepCancelled, StepCompleted, StepDispatched, StepFailed

KIND = "task"
DEFAULT_QUEUE = "default"
ACTOR = "system:tasks"

_AT_ONCE = 50
_REMEMBERED = 10_000

log = structlog.get_logger(__name__)


class TaskSteps:
    """A follower's handler: gives the commands that lead from a step to its task and back.

    The end of a step does not tell its kind. Those that were seen to be dispatched as something else are
    remembered, so that no store is asked for a task of theirs; after a start some are asked for, in vain.
    """

    name = "task-steps"
    may_repeat_unnoticed = False

    def __init__(self, dispatch: Dispatcher) -> None:
        self._dispatch = dispatch
        self._of_other_kinds: OrderedDict[str, None] = OrderedDict()

    def wants(self, event: Event) -> bool:
        """Whether a task may begin or end with such an event, or has."""
        match event:
            case StepCancelled():
                return event.kind == KIND
            case StepDispatched() | StepCompleted() | StepFailed() | TaskCompleted() | TaskFailed():
                return True
        return False

    async def start_over(self) -> None:
        """What was offered stays offered: each task is a stream of its own in the same log."""
        self._of_other_kinds.clear()

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Give the batch's commands: those about one step in their order, else side by side.

        Raises:
            StoreUnavailable: some are not given; the batch is to be handled again.
            LeaseLost: the rest is for another instance to give.
        """
        by_step: dict[str, list[Command]] = {}
        for recorded in events:
            for step_id, command in self._commands(recorded):
                by_step.setdefault(step_id, []).append(command)
        turns = asyncio.Semaphore(_AT_ONCE)
        outcomes = await asyncio.gather(
            *(self._give(commands, turns, lease) for commands in by_step.values()), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _give(self, commands: Sequence[Command], turns: asyncio.Semaphore, lease: Lease) -> None:
        for command in commands:
            async with turns:
                lease.check()
                try:
                    await self._dispatch(command)
                except Refusal as refusal:
                    log.warning("task_policy_refused", command=type(command).__name__, reason=refusal.message)

    def _commands(self, recorded: Recorded) -> Sequence[tuple[str, Command]]:
        """What is to be done about an event, each with the step that it is about."""
        match event := recorded.event:
            case StepDispatched():
                if event.kind == KIND:
                    return [(event.step_id, _offer(event, recorded))]
                self._remember(event.step_id)
            case StepCancelled():
                return [(event.step_id, _revoke(event, "the step was cancelled", recorded))]
            case StepFailed():
                if self._may_have_a_task(event, recorded):
                    return [(event.step_id, _revoke(event, f"the step failed: {event.reason}", recorded))]
            case StepCompleted():
                if self._may_have_a_task(event, recorded):
                    return [(event.step_id, _revoke(event, "the step was completed otherwise", recorded))]
            case TaskCompleted():
                return [(event.step_id, _complete(event, recorded))]
            case TaskFailed():
                return [(event.step_id, _fail(event, recorded))]
        return []

    def _may_have_a_task(self, event: StepCompleted | StepFailed, recorded: Recorded) -> bool:
        """Not where the task itself has brought the step to its end."""
        return recorded.meta.actor != ACTOR and event.step_id not in self._of_other_kinds

    def _remember(self, step_id: str) -> None:
        self._of_other_kinds[step_id] = None
        if len(self._of_other_kinds) > _REMEMBERED:
            self._of_other_kinds.popitem(last=False)


def _offer(event: StepDispatched, recorded: Recorded) -> OfferTask:
    return OfferTask(
        meta=_caused_by(recorded, "offer"),
        task_id=task_id_of(event.step_id, event.attempt),
        queue=str(event.parameters.get("queue", DEFAULT_QUEUE)),
        input=event.input,
        workflow_id=event.workflow_id,
        step_id=event.step_id,
        step_type=event.step_type,
        attempt=event.attempt,
        deadline_at=event.deadline_at,
    )


def _revoke(event: StepCancelled | StepFailed | StepCompleted, reason: str, recorded: Recorded) -> RevokeTask:
    return RevokeTask(
        meta=_caused_by(recorded, "revoke"), task_id=task_id_of(event.step_id, event.attempt), reason=reason
    )


def _complete(event: TaskCompleted, recorded: Recorded) -> CompleteStep:
    return CompleteStep(
        meta=_caused_by(recorded, "complete"),
        workflow_id=event.workflow_id,
        step=event.step_id,
        result=event.output,
        attempt=event.attempt,
    )


def _fail(event: TaskFailed, recorded: Recorded) -> FailStep:
    reason: FailureReason = "reported" if event.retryable else "rejected"
    return FailStep(
        meta=_caused_by(recorded, "fail"),
        workflow_id=event.workflow_id,
        step=event.step_id,
        error=event.error,
        reason=reason,
        attempt=event.attempt,
    )


def _caused_by(recorded: Recorded, what: str) -> Metadata:
    """The same for the same event, so that a command that is given twice is taken once."""
    return Metadata(
        tenant=recorded.meta.tenant,
        actor=ACTOR,
        correlation_id=recorded.meta.correlation_id,
        causation_id=str(recorded.event_id),
        command_id=derived_id("task-step", what, str(recorded.event_id)),
    )
