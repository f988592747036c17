"""What breaks for no known reason, again and again: it ends, is told, and keeps nobody else waiting."""

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from application.commands import Command, CompleteStep, FailStep, StartWorkflow
from application.deciders import Committed
from application.pasts import Past
from application.policies.giving_up import TRIES
from application.policies.reaction import Reaction
from application.policies.runs import Runs
from application.policies.tasks import TaskSteps
from application.task_commands import OfferTask
from domain.concurrency import StartGranted
from domain.errors import StoreUnavailable, WorkflowNotFound
from domain.event import Event, Recorded
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


async def test_a_start_that_breaks_makes_way_for_the_next_of_its_group() -> None:
    dispatch = Breaks(lambda command: isinstance(command, StartWorkflow))
    granted = StartGranted(group="d/1", start=START, granted_at=NOW)
    assert await handled_until_it_works(Runs(dispatch, None), granted) == TRIES  # type: ignore[arg-type]
    assert [type(each).__name__ for each in dispatch.given] == ["CancelWorkflow", "EndRun"]
