"""What breaks for no known reason, again and again: it ends, is told, and keeps nobody else waiting."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from application.command import Command
from application.deciders import Committed
from application.job_commands import FailJobRun, NoteJobPublished
from application.outbox import Outbox
from application.pasts import Past
from application.policies.concurrency import ConcurrencyGroups
from application.policies.giving_up import TRIES
from application.policies.reaction import Reaction
from application.policies.tasks import TaskSteps
from application.policies.wait_steps import WaitSteps
from application.ports import PublicMessage, Timer
from application.task_commands import OfferTask
from application.workflow_commands import CompleteStep, FailStep, StartWorkflow
from domain.concurrency import StartGranted
from domain.errors import JobNotFound, StoreUnavailable, WorkflowNotFound
from domain.event import Event, Recorded
from domain.job import JobFired
from domain.lease import Lease
from domain.task import TaskCompleted
from domain.workflow import StepDispatched, workflow_stream
from tests.builders import LEASE, NOW, TENANT, after, recorded
from tests.samples_concurrency import START

pytestmark = pytest.mark.anyio


class Breaks:
    """A dispatcher that breaks on some commands and notes the others."""

    def __init__(self, on: Callable[[Command], bool], error: Exception | None = None) -> None:
        self.on = on
        self.error = error or TypeError("no such thing")
        self.tries = 0
        self.given: list[Any] = []

    async def __call__(self, command: Command) -> Committed:
        if self.on(command):
            self.tries += 1
            raise self.error
        self.given.append(command)
        return Committed("s", Past(), (), "log-0", 0)


def dispatched(step: str) -> StepDispatched:
    return StepDispatched(
        workflow_id="w-1",
        execution_id="e-1",
        step_id=step,
        step_type="write",
        kind="task",
        parameters={},
        input={},
        attempt=3,
        dispatched_at=NOW,
        deadline_at=after(minutes=1),
    )


def completed(step: str) -> TaskCompleted:
    return TaskCompleted(
        task_id="t-1",
        workflow_id="w-1",
        step_id=step,
        attempt=3,
        worker_id="bob",
        output={},
        lease_until=NOW,
        completed_at=NOW,
    )


def reaction(dispatch: Breaks) -> Reaction:
    return Reaction(TaskSteps(), dispatch)  # type: ignore[arg-type]


async def handled_until_it_works(handler: Any, *events: Event) -> int:
    """How often the batch came, as a follower would bring it."""
    batch: list[Recorded] = list(recorded(workflow_stream(TENANT, "w-1"), events))
    for tries in range(1, 3 * TRIES):
        try:
            await handler.handle(batch, LEASE)
        except Exception:
            continue
        return tries
    raise AssertionError("it came again and again")


@pytest.mark.parametrize(
    ("event", "breaks"),
    [(dispatched("s-1"), OfferTask), (completed("s-1"), CompleteStep)],
    ids=["there", "back"],
)
async def test_a_step_that_a_policy_breaks_on_fails_and_the_others_go_on(
    event: Event, breaks: type[Command]
) -> None:
    dispatch = Breaks(lambda command: isinstance(command, breaks) and "s-1" in str(command))
    with capture_logs() as logs:
        assert await handled_until_it_works(reaction(dispatch), event, dispatched("s-2")) == TRIES
    (failed,) = [each for each in dispatch.given if isinstance(each, FailStep)]
    assert (failed.workflow_id, failed.step, failed.attempt, failed.reason) == ("w-1", "s-1", 3, "rejected")
    assert {each.step_id for each in dispatch.given if isinstance(each, OfferTask)} == {"s-2"}
    assert [each["event"] for each in logs] == ["event_given_up"]


async def test_what_cannot_even_be_given_up_is_left_undone() -> None:
    dispatch = Breaks(lambda command: isinstance(command, OfferTask | FailStep))
    with capture_logs() as logs:
        assert await handled_until_it_works(reaction(dispatch), dispatched("s-1")) == TRIES
    assert [each["event"] for each in logs] == ["event_given_up", "event_left_undone"]


@pytest.mark.parametrize("error", [StoreUnavailable("away"), WorkflowNotFound("gone")])
async def test_a_failure_is_waited_for_and_a_refusal_is_an_answer(error: Exception) -> None:
    dispatch = Breaks(lambda _: dispatch.tries < 2 * TRIES, error)
    tries = await handled_until_it_works(reaction(dispatch), dispatched("s-1"))
    assert tries == (2 * TRIES + 1 if isinstance(error, StoreUnavailable) else 1)
    assert not [each for each in dispatch.given if isinstance(each, FailStep)]


async def test_a_failure_while_it_is_given_up_brings_it_again() -> None:
    dispatch = Breaks(lambda command: isinstance(command, OfferTask))
    task_steps = reaction(dispatch)
    batch = recorded(workflow_stream(TENANT, "w-1"), [dispatched("s-1")])
    for _ in range(TRIES - 1):
        with pytest.raises(TypeError):
            await task_steps.handle(batch, LEASE)

    dispatch.on, dispatch.error = lambda command: True, StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        await task_steps.handle(batch, LEASE)
    dispatch.on, dispatch.error = lambda command: isinstance(command, OfferTask), TypeError("still")
    await task_steps.handle(batch, LEASE)
    assert [type(each) for each in dispatch.given] == [FailStep]


async def test_what_has_worked_meanwhile_is_tried_as_often_again() -> None:
    dispatch = Breaks(lambda command: isinstance(command, OfferTask))
    task_steps = reaction(dispatch)
    batch = recorded(workflow_stream(TENANT, "w-1"), [dispatched("s-1")])
    for _ in range(2):
        for _ in range(TRIES - 1):
            with pytest.raises(TypeError):
                await task_steps.handle(batch, LEASE)
        breaks, dispatch.on = dispatch.on, lambda command: False
        await task_steps.handle(batch, LEASE)
        dispatch.on = breaks
    assert [type(each) for each in dispatch.given] == [OfferTask, OfferTask]


async def test_a_start_that_breaks_makes_way_for_the_next_of_its_group() -> None:
    dispatch = Breaks(lambda command: isinstance(command, StartWorkflow))
    granted = StartGranted(group="d/1", start=START, granted_at=NOW)
    assert await handled_until_it_works(ConcurrencyGroups(dispatch, None), granted) == TRIES  # type: ignore[arg-type]
    assert [type(each).__name__ for each in dispatch.given] == ["CancelWorkflow", "EndRun"]


class KeptTimers:
    """Notes the steps that timers are kept for."""

    def __init__(self) -> None:
        self.steps: set[Any] = set()

    async def change(self, *, set: Sequence[Timer], cancel: Sequence[str], lease: Lease) -> None:
        self.steps |= {timer.payload["step_id"] for timer in set}


def waiting(step: str, **parameters: Any) -> StepDispatched:
    return msgspec.structs.replace(dispatched(step), kind="wait", parameters=parameters)


async def waits_behind_one_that_cannot_be_failed(dispatch: Breaks) -> tuple[int, KeptTimers]:
    """How often the batch came, and what timers are kept; the first wait is until nobody knows when."""
    timers = KeptTimers()
    handler = WaitSteps(timers, dispatch)  # type: ignore[arg-type]
    events = [waiting("s-1", until="due"), waiting("s-2", seconds=1), waiting("s-3", until="due")]
    return await handled_until_it_works(handler, *events), timers


async def test_a_wait_that_cannot_be_failed_keeps_no_other_back() -> None:
    dispatch = Breaks(lambda command: isinstance(command, FailStep) and command.step == "s-1")
    with capture_logs() as logs:
        tries, timers = await waits_behind_one_that_cannot_be_failed(dispatch)
    assert (tries, timers.steps) == (TRIES, {"s-2"})
    assert {each.step for each in dispatch.given} == {"s-3"}
    assert [each["event"] for each in logs] == ["event_given_up", "event_left_undone"]


async def test_a_wait_whose_failing_breaks_fails_as_one_that_the_service_broke_on() -> None:
    dispatch = Breaks(lambda command: isinstance(command, FailStep) and "ISO 8601" in command.error)
    tries, timers = await waits_behind_one_that_cannot_be_failed(dispatch)
    assert (tries, timers.steps) == (TRIES, {"s-2"})
    assert {(each.step, each.reason) for each in dispatch.given} == {("s-1", "rejected"), ("s-3", "rejected")}
    assert all("an internal error (wait-steps)" in each.error for each in dispatch.given)


async def test_a_wait_whose_workflow_is_not_there_is_left() -> None:
    dispatch = Breaks(lambda command: isinstance(command, FailStep), WorkflowNotFound("gone"))
    tries, timers = await waits_behind_one_that_cannot_be_failed(dispatch)
    assert (tries, dispatch.tries, timers.steps) == (1, 2, {"s-2"})


async def test_a_failure_while_waits_are_failed_is_waited_for() -> None:
    dispatch = Breaks(lambda _: dispatch.tries < 2 * TRIES, StoreUnavailable("away"))
    tries, _ = await waits_behind_one_that_cannot_be_failed(dispatch)
    assert tries > TRIES / 2
    assert {each.step for each in dispatch.given} == {"s-1", "s-3"}


@pytest.mark.parametrize("error", [TypeError("no such thing"), JobNotFound("gone")])
async def test_a_trigger_that_cannot_be_noted_keeps_no_message_back(error: Exception) -> None:
    class Broker:
        async def publish(self, message: PublicMessage, lease: Lease) -> None: ...

    dispatch = Breaks(lambda command: isinstance(command, NoteJobPublished) and command.run_id == "a", error)
    outbox = Outbox(Broker(), dispatch)  # type: ignore[arg-type]
    fired = [
        JobFired(job="j", run_id=run, triggered_by="manual", fired_at=NOW, metadata={}) for run in ("a", "b")
    ]
    tries = await handled_until_it_works(outbox, *fired)
    assert tries == (1 if isinstance(error, JobNotFound) else TRIES)
    assert {each.run_id for each in dispatch.given if isinstance(each, NoteJobPublished)} == {"b"}
    failed = [each.reference for each in dispatch.given if isinstance(each, FailJobRun)]
    assert failed == ([] if isinstance(error, JobNotFound) else ["a"])
