"""From a step to its task and back: what is to be done about each event, and again after a crash."""

from collections.abc import Sequence
from typing import Any

import pytest

from application.command import Command
from application.deciders import Committed
from application.pasts import Past
from application.policies.reaction import Reaction
from application.policies.task_leases import COMMANDS, TASK_LEASE, TaskLeaseTimers
from application.policies.tasks import TaskSteps
from application.ports import Timer
from application.task_commands import ExpireTaskLease, OfferTask, RevokeTask
from application.workflow_commands import CompleteStep, FailStep
from domain.errors import LeaseLost, StoreUnavailable, WorkflowNotFound
from domain.event import Event, Recorded
from domain.lease import Lease
from domain.task import (
    TaskClaimed,
    TaskCompleted,
    TaskFailed,
    TaskLeaseExpired,
    TaskLeaseExtended,
    TaskReleased,
    task_id_of,
    task_stream,
)
from domain.workflow import StepCancelled, StepCompleted, StepDispatched, StepFailed, workflow_stream
from tests.builders import LEASE, NOW, TENANT, after, metadata, recorded

pytestmark = pytest.mark.anyio

WORKFLOW = workflow_stream(TENANT, "w-1")
TASK = task_stream(TENANT, "t-1")


def dispatched(step: str = "s-1", kind: str = "task", **more: Any) -> StepDispatched:
    return StepDispatched(
        workflow_id="w-1",
        execution_id="e-1",
        step_id=step,
        step_type="write",
        kind=kind,
        parameters={"queue": "reports"},
        input={"n": 1},
        attempt=3,
        dispatched_at=NOW,
        deadline_at=after(minutes=1),
        **more,
    )


def step_completed(step: str = "s-1", kind: str = "task") -> StepCompleted:
    return StepCompleted(
        kind=kind,
        workflow_id="w-1",
        execution_id="e-1",
        step_id=step,
        step_type="write",
        attempt=3,
        result=None,
        completed_at=NOW,
    )


def step_failed(step: str = "s-1", kind: str = "task") -> StepFailed:
    return StepFailed(
        kind=kind,
        workflow_id="w-1",
        execution_id="e-1",
        step_id=step,
        step_type="write",
        attempt=3,
        error="no answer",
        reason="timed_out",
        failed_at=NOW,
    )


def step_cancelled(kind: str = "task") -> StepCancelled:
    return StepCancelled(
        workflow_id="w-1",
        execution_id="e-1",
        step_id="s-1",
        step_type="write",
        kind=kind,
        attempt=3,
        cancelled_at=NOW,
    )


def task_completed() -> TaskCompleted:
    return TaskCompleted(
        task_id="t-1",
        workflow_id="w-1",
        step_id="s-1",
        attempt=3,
        worker_id="ann",
        output={"pages": 1},
        lease_until=after(seconds=60),
        completed_at=NOW,
    )


def task_failed(*, retryable: bool) -> TaskFailed:
    return TaskFailed(
        task_id="t-1",
        workflow_id="w-1",
        step_id="s-1",
        attempt=3,
        worker_id="ann",
        error="no ink",
        retryable=retryable,
        lease_until=after(seconds=60),
        failed_at=NOW,
    )


class Given:
    """A dispatcher that notes what it is given; it refuses what it is told to, or fails."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.error: Exception | None = None

    async def __call__(self, command: Command) -> Committed:
        if self.error is not None:
            raise self.error
        self.commands.append(command)
        return Committed("s", Past(), (), "log-0", 0)


async def handled(policy: Reaction, *events: Event, actor: str = "ann") -> None:
    batch = recorded(WORKFLOW, events, meta=metadata(actor=actor))
    await policy.handle([each for each in batch if policy.wants(each.event)], LEASE)


@pytest.fixture
def given() -> Given:
    return Given()


@pytest.fixture
def policy(given: Given) -> Reaction:
    return Reaction(TaskSteps(), given)  # type: ignore[arg-type]


async def test_a_dispatched_step_of_the_kind_is_offered_to_its_queue(policy: Reaction, given: Given) -> None:
    await handled(policy, dispatched(), dispatched("s-2", kind="event"))
    (offer,) = given.commands
    assert isinstance(offer, OfferTask)
    assert (offer.task_id, offer.queue, offer.input) == (task_id_of("s-1", 3), "reports", {"n": 1})
    assert (offer.workflow_id, offer.step_id, offer.step_type, offer.attempt) == ("w-1", "s-1", "write", 3)
    assert offer.deadline_at == after(minutes=1)
    assert (offer.meta.tenant, offer.meta.actor) == (TENANT, "system:task-steps")


async def test_an_event_that_comes_again_gives_the_same_command_again(policy: Reaction, given: Given) -> None:
    batch = recorded(WORKFLOW, [dispatched(), step_cancelled()])
    await policy.handle(batch, LEASE)
    await Reaction(TaskSteps(), given).handle(batch, LEASE)  # type: ignore[arg-type]
    first, second = given.commands[:2], given.commands[2:]
    assert first == second
    assert len({command.meta.command_id for command in first}) == 2


@pytest.mark.parametrize("end", [step_cancelled(), step_failed(), step_completed()])
async def test_a_task_is_revoked_when_its_step_ends_otherwise(
    policy: Reaction, given: Given, end: Event
) -> None:
    await handled(policy, dispatched())
    await handled(policy, end)
    revoke = given.commands[-1]
    assert isinstance(revoke, RevokeTask)
    assert revoke.task_id == task_id_of("s-1", 3)


async def test_a_step_that_its_task_has_ended_needs_no_revoking(policy: Reaction, given: Given) -> None:
    await handled(policy, step_completed(), step_failed(), actor="system:task-steps")
    assert given.commands == []


async def test_steps_of_other_kinds_cost_nothing(policy: Reaction, given: Given) -> None:
    await handled(policy, dispatched("s-2", kind="event"), step_cancelled(kind="event"))
    await handled(policy, step_completed("s-2", kind="http"), step_failed("s-2", kind="approval"))
    assert given.commands == []


async def test_what_a_worker_says_is_the_steps_answer(policy: Reaction, given: Given) -> None:
    await handled(policy, task_completed(), task_failed(retryable=True), task_failed(retryable=False))
    complete, again, final = given.commands
    assert isinstance(complete, CompleteStep)
    assert (complete.workflow_id, complete.step, complete.attempt) == ("w-1", "s-1", 3)
    assert complete.result == {"pages": 1}
    assert isinstance(again, FailStep)
    assert isinstance(final, FailStep)
    assert (again.reason, final.reason, final.error, final.attempt) == ("reported", "rejected", "no ink", 3)


async def test_a_refusal_holds_nobody_up_and_a_store_that_is_away_brings_the_batch_again(
    policy: Reaction, given: Given
) -> None:
    given.error = WorkflowNotFound("gone")
    await handled(policy, task_completed())
    given.error = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await handled(policy, dispatched(), dispatched("s-2"))


async def test_nothing_is_given_under_a_lost_lease(policy: Reaction, given: Given) -> None:
    class Lost:
        name, fence = "lost", None

        def check(self) -> None:
            raise LeaseLost("another has it")

    with pytest.raises(LeaseLost):
        await policy.handle(recorded(WORKFLOW, [dispatched()]), Lost())
    assert given.commands == []


class Kept:
    """Timers in a dictionary."""

    def __init__(self) -> None:
        self.timers: dict[str, Timer] = {}

    async def change(self, *, set: Sequence[Timer], cancel: Sequence[str], lease: Lease) -> None:
        self.timers |= {timer.id: timer for timer in set}
        for id in cancel:
            self.timers.pop(id, None)


def claimed(until: float = 60) -> TaskClaimed:
    return TaskClaimed(
        task_id="t-1",
        worker_id="ann",
        lease_digest="d",
        lease_seconds=60,
        lease_until=after(seconds=until),
        claimed_at=NOW,
    )


def extended(until: float, before: float) -> TaskLeaseExtended:
    return TaskLeaseExtended(
        task_id="t-1",
        lease_until=after(seconds=until),
        previous_until=after(seconds=before),
        extended_at=NOW,
    )


def released(until: float) -> TaskReleased:
    return TaskReleased(
        task_id="t-1", queue="q", worker_id="ann", lease_until=after(seconds=until), released_at=NOW
    )


async def timers_after(*batches: Sequence[Event]) -> dict[str, Timer]:
    kept = Kept()
    policy = TaskLeaseTimers(kept)  # type: ignore[arg-type]
    version = 1
    for batch in batches:
        events: tuple[Recorded, ...] = recorded(TASK, batch, first_version=version)
        version += len(events)
        await policy.handle([each for each in events if policy.wants(each.event)], LEASE)
    return kept.timers


async def test_a_lease_has_one_timer_that_is_due_at_its_end() -> None:
    for batches in ([[claimed()], [extended(90, 60)]], [[claimed(), extended(90, 60)]]):
        (timer,) = (await timers_after(*batches)).values()
        assert (timer.kind, timer.due_at) == (TASK_LEASE, after(seconds=90))
        command = COMMANDS[timer.kind](timer)
        assert isinstance(command, ExpireTaskLease)
        assert (command.task_id, command.due_at) == ("t-1", after(seconds=90))


async def test_a_lease_that_is_extended_gets_a_timer_of_another_id() -> None:
    (before,) = await timers_after([claimed()])
    (now,) = await timers_after([claimed(), extended(90, 60)])
    assert before != now


async def test_a_lease_that_ends_takes_its_timer_with_it() -> None:
    expired = TaskLeaseExpired(
        task_id="t-1", queue="q", worker_id="ann", lease_until=after(seconds=60), expired_at=NOW
    )
    for end in (released(60), task_completed(), task_failed(retryable=True), expired):
        assert await timers_after([claimed()], [end]) == {}
        assert await timers_after([claimed(), end]) == {}


async def test_the_next_lease_has_a_timer_of_its_own() -> None:
    (timer,) = (await timers_after([claimed()], [released(60), claimed(100)])).values()
    assert timer.due_at == after(seconds=100)


async def test_so_it_has_where_the_lease_before_would_have_ended_in_the_same_millisecond() -> None:
    (timer,) = (await timers_after([claimed(), released(60), claimed(60.0003)])).values()
    assert timer.due_at == after(seconds=60.0003)
