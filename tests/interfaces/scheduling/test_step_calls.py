"""How calls are made when the store is away, an answer cannot be taken, or the lease is lost."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from application.circuit_breaker import Circuits
from application.command import Command
from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.event_store import EventStore
from application.policies.http_steps import HttpSteps
from application.ports import BadAnswer, HttpAnswer, HttpRequest, NoAnswer, StepCall
from application.step_calls import StepCallMaker
from application.workflow_commands import CompleteStep, FailStep, StartWorkflow
from application.workflows import WorkflowHandlers
from domain import workflow
from domain.errors import LeaseLost, StoreUnavailable, TooMuchAtOnce
from domain.workflow import workflow_stream
from infrastructure.clock import SystemClock
from interfaces.scheduling.step_calls import StepCallLoop
from tests.application.logs import open_logs, sqlite_settings
from tests.application.test_http_steps import KeptCalls
from tests.builders import LEASE, TENANT, metadata
from tests.harness import eventually
from tests.http_orchestrator import SERVICE, Plans, calling, plan

pytestmark = pytest.mark.anyio


class Caller:
    """Answers 200, and knows what it was asked."""

    def __init__(self) -> None:
        self.asked: list[HttpRequest] = []
        self.answering = anyio.Event()
        self.answering.set()

    async def call(self, request: HttpRequest, seconds: float) -> HttpAnswer | NoAnswer | BadAnswer:
        self.asked.append(request)
        await self.answering.wait()
        return HttpAnswer(status=200, body=b'{"a": 1}')


class World:
    """A loop, and what is around it."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.calls = KeptCalls()
        self.caller = Caller()
        self.given: list[Command] = []
        self.before: Callable[[Command], None] = lambda command: None
        plans = Plans()
        plans.add(plan("one", calling("/ok")))
        self.dispatch = Dispatcher(WorkflowHandlers(store, SystemClock(), plans).handlers())
        circuits = Circuits([SERVICE], failures=5, open_seconds=1, now=anyio.current_time)
        self.maker = StepCallMaker(self.caller, store, SystemClock(), circuits, timeout_seconds=5)
        self.places = anyio.CapacityLimiter(8)
        self.loop = StepCallLoop(self.calls, self.maker, self, places=self.places, poll_seconds=0.05)  # type: ignore[arg-type]
        self.handler = HttpSteps(self.calls, on_change=self.loop.note_change)

    async def __call__(self, command: Command) -> Committed:
        """The dispatcher, as the loop sees it."""
        self.given.append(command)
        self.before(command)
        return await self.dispatch(command)

    async def start(self, workflow_id: str = "w-1") -> None:
        """Start a workflow, and note its call."""
        committed = await self.dispatch(
            StartWorkflow(meta=metadata(), workflow_id=workflow_id, definition="one")
        )
        wanted = [each for each in committed.new if self.handler.wants(each.event)]
        assert len(wanted) == 1
        await self.handler.handle(wanted, LEASE)

    async def status(self, workflow_id: str = "w-1") -> str:
        """How the step stands."""
        state = (await self.store.present(workflow_stream(TENANT, workflow_id), workflow.evolve)).state
        return str(state.step("call").status)

    async def ends_as(self, status: str, workflow_id: str = "w-1") -> None:
        """Wait until the step has ended so, and its call is struck out."""

        async def is_so() -> bool:
            return await self.status(workflow_id) == status and not self.calls.kept

        await eventually(is_so)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The loop at work."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.loop.run, LEASE)
            yield
            tasks.cancel_scope.cancel()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield World(logs.store())


async def test_a_call_waits_for_a_place_of_the_process(world: World) -> None:
    """Loops of other shares may have taken all."""
    for other in range(8):
        await world.places.acquire_on_behalf_of(other)
    async with world.running():
        await world.start()
        await anyio.sleep(0.2)
        assert world.caller.asked == []
        world.places.release_on_behalf_of(0)
        await world.ends_as("completed")


async def test_an_answer_is_kept_until_it_can_be_stored_and_nobody_is_asked_again(world: World) -> None:
    def away(command: Command) -> None:
        if len(world.given) < 3:
            raise StoreUnavailable("away")

    world.before = away
    await world.start()
    async with world.running():
        await world.ends_as("completed")
    assert len(world.caller.asked) == 1
    assert [type(command) for command in world.given] == [CompleteStep] * 3


@pytest.mark.parametrize("error", [ValueError("too odd"), TooMuchAtOnce("100 events")], ids=["odd", "much"])
async def test_an_answer_that_cannot_be_taken_ends_its_step_and_no_other(
    world: World, error: Exception
) -> None:
    def breaks(command: Command) -> None:
        if isinstance(command, CompleteStep) and command.workflow_id == "w-1":
            raise error

    world.before = breaks
    async with world.running():
        await world.start("w-1")
        await world.start("w-2")
        await world.ends_as("failed", "w-1")
        await world.ends_as("completed", "w-2")
    (failure,) = [command for command in world.given if isinstance(command, FailStep)]
    assert failure.reason == "rejected"
    assert len(world.caller.asked) == 2


async def test_what_breaks_altogether_is_not_tried_for_ever(world: World) -> None:
    def breaks(command: Command) -> None:
        if command.workflow_id == "w-1":  # type: ignore[attr-defined]
            raise ValueError("too odd")

    world.before = breaks
    async with world.running():
        await world.start("w-1")
        await world.ends_as("running", "w-1")
        await world.start("w-2")
        await world.ends_as("completed", "w-2")
    assert len(world.given) == 3


async def test_a_call_that_breaks_fails_its_step(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(call: StepCall) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.loop._maker, "make", breaks)
    async with world.running():
        await world.start()
        await world.ends_as("failed")


async def test_a_call_whose_answer_was_stored_before_a_crash_is_not_made_again(world: World) -> None:
    await world.start()
    (call,) = world.calls.kept.values()
    await world.dispatch(
        CompleteStep(meta=call.meta, workflow_id="w-1", step="call", result={}, attempt=call.attempt)
    )
    async with world.running():
        await world.ends_as("completed")
    assert world.caller.asked == []


async def test_when_the_lease_is_lost_calls_under_way_are_broken_off_and_stay_on_the_list(
    world: World,
) -> None:
    class LostOnceAsked:
        name, fence = "http-steps", 1

        def check(self) -> None:
            if world.caller.asked:
                raise LeaseLost("it has passed on")

    world.caller.answering = anyio.Event()
    await world.start()
    with anyio.fail_after(5), pytest.raises(LeaseLost):
        await world.loop.run(LostOnceAsked())
    assert len(world.calls.kept) == 1
    assert world.given == []
    world.caller.answering.set()
    async with world.running():
        await world.ends_as("completed")
    assert len({request.headers["Idempotency-Key"] for request in world.caller.asked}) == 1
    assert len(world.caller.asked) == 2


async def test_a_new_call_does_not_wait_for_the_next_look(tmp_path: Path) -> None:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        world = World(logs.store())
        world.loop._poll_seconds = 3600
        async with world.running():
            await anyio.sleep(0.1)
            await world.start()
            await world.ends_as("completed")
            await world.start("w-2")
            await world.ends_as("completed", "w-2")


async def test_how_it_fares_is_told(world: World) -> None:
    assert world.loop.status.state == "standby"
    await world.start()
    async with world.running():
        await world.ends_as("completed")
        assert (world.loop.status.state, world.loop.status.handled) == ("running", 1)
    world.loop.stop()
    assert world.loop.status.state.startswith("stopped")
