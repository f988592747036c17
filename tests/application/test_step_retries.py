"""The next try of a step comes, whoever resumes the workflow when and by whichever clock: on real logs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from application.commands import Command, FailStep, PauseWorkflow, ResumeWorkflow, StartWorkflow
from application.definitions import ShippedDefinitions
from application.dispatcher import Dispatcher
from application.event_log import EventLog
from application.event_store import EventStore
from application.policies.workflow_timers import COMMANDS, WorkflowTimers
from application.timers import DueTimers
from application.workflows import WorkflowHandlers
from domain.definition import WorkflowDefinition
from domain.event import Recorded
from domain.workflow import StepDispatched, StepHeldBack, Workflow, evolve, workflow_stream
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.timers import SqliteTimers
from tests.application.logs import (
    UNVERIFIED,
    OpenLogs,
    Settings,
    cosmos_settings,
    open_logs,
    postgres_settings,
    sqlite_settings,
)
from tests.builders import LEASE, TENANT, SettableClock, after, metadata
from tests.domain.plans import ONCE_MORE, step

pytestmark = [pytest.mark.anyio, UNVERIFIED]

PLAN = WorkflowDefinition(name="plan", version=1, steps=(step("a", retry=ONCE_MORE),))
STREAM = workflow_stream(TENANT, "w-1")
NEXT_TRY = after(minutes=1)
MOMENT = timedelta(milliseconds=20)


class Instance:
    """A process with a clock of its own, on the log and the timers of all."""

    def __init__(self, log: EventLog, timers: SqliteTimers) -> None:
        self.log = log
        self.store = EventStore(log)
        self.clock = SettableClock()
        self._timers = timers
        workflows = WorkflowHandlers(self.store, self.clock, ShippedDefinitions([PLAN]))
        self._dispatch = Dispatcher(workflows.handlers())
        self._due = DueTimers(timers, self.clock, self._dispatch, COMMANDS)

    async def give(self, command: Command) -> Sequence[Recorded]:
        committed = await self._dispatch(command)
        policy = WorkflowTimers(self._timers)
        await policy.handle([each for each in committed.new if policy.wants(each.event)], LEASE)
        return committed.new

    async def fire(self) -> int:
        return await self._due.fire(LEASE)

    async def state(self) -> Workflow:
        state: Workflow = (await self.store.present(STREAM, evolve)).state
        return state


@pytest.fixture(params=["sqlite", "postgres", pytest.param("cosmos", marks=pytest.mark.cosmos)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    match request.param:
        case "postgres":
            return postgres_settings(request.getfixturevalue("postgres_store_url"))
        case "cosmos":
            return cosmos_settings(request.getfixturevalue("cosmos"))
    return sqlite_settings(tmp_path)


@pytest.fixture
async def instances(settings: Settings, tmp_path: Path) -> AsyncIterator[tuple[Instance, Instance]]:
    """One that takes commands, and one that gives those of timers. A step waits, the workflow is paused."""
    database = SqliteDatabase(tmp_path / "timers.db", synchronous="NORMAL")
    timers = SqliteTimers(database)
    await timers.create()
    with open_logs(settings) as logs:
        ordering, firing = opened(logs, timers), opened(logs, timers)
        for command in (
            StartWorkflow(meta=metadata(), workflow_id="w-1", opportunity_id=None, definition="plan"),
            FailStep(meta=metadata(), workflow_id="w-1", step="a", error="no"),
            PauseWorkflow(meta=metadata(), workflow_id="w-1", reason="x"),
        ):
            await ordering.give(command)
        assert (await firing.state()).steps["a"].retry_at == NEXT_TRY
        yield ordering, firing
        for each in (ordering, firing):
            each.store.close()
    database.close()


def opened(logs: OpenLogs, timers: SqliteTimers) -> Instance:
    return Instance(logs.open(), timers)


def resume() -> ResumeWorkflow:
    return ResumeWorkflow(meta=metadata(), workflow_id="w-1")


async def test_a_resumption_on_its_way_when_the_timer_comes_lets_the_step_out(
    instances: tuple[Instance, Instance],
) -> None:
    """It was decided before the pause was over, and is stored after the timer was looked at."""
    ordering, firing = instances
    ordering.clock.moment = NEXT_TRY - MOMENT
    firing.clock.moment = NEXT_TRY + MOMENT
    with before_the_next_append(ordering.log, firing.fire):
        new = await ordering.give(resume())
    await firing.fire()
    assert [type(each.event) for each in new][1:] == [StepDispatched]
    assert (await firing.state()).steps["a"].status == "running"


async def test_an_instance_whose_clock_is_behind_that_of_the_timers_lets_the_step_out(
    instances: tuple[Instance, Instance],
) -> None:
    ordering, firing = instances
    firing.clock.moment = NEXT_TRY
    assert await firing.fire() == 1
    ordering.clock.moment = NEXT_TRY - timedelta(seconds=1)
    new = await ordering.give(resume())
    assert [type(each.event) for each in new][1:] == [StepDispatched]


async def test_an_instance_whose_clock_is_ahead_of_that_of_the_timers_lets_the_step_out_once(
    instances: tuple[Instance, Instance],
) -> None:
    ordering, firing = instances
    ordering.clock.moment = NEXT_TRY + timedelta(seconds=1)
    assert len(await ordering.give(resume())) == 2
    firing.clock.moment = NEXT_TRY
    assert await firing.fire() == 1
    assert (await firing.state()).steps["a"].attempt == 2


async def test_a_step_is_held_back_once_and_then_no_timer_comes_again(
    instances: tuple[Instance, Instance],
) -> None:
    """Also where the timer is set anew: its policy handles the log again."""
    _, firing = instances
    firing.clock.moment = NEXT_TRY
    assert [await firing.fire(), await firing.fire()] == [1, 0]
    events = await firing.store.load(STREAM)
    await WorkflowTimers(firing._timers).handle(events, LEASE)
    firing.clock.moment = after(days=400)
    assert [await firing.fire(), await firing.fire()] == [1, 0]
    events = await firing.store.load(STREAM)
    assert len([each for each in events if isinstance(each.event, StepHeldBack)]) == 1


@contextmanager
def before_the_next_append(log: EventLog, do: Any) -> Any:
    """Something else is done when an append is decided, and not made."""
    loop, real = asyncio.get_running_loop(), log.ours.append_together

    def append(*arguments: Any) -> Any:
        log.recorder.append_together = real  # type: ignore[attr-defined]
        asyncio.run_coroutine_threadsafe(do(), loop).result()
        return real(*arguments)

    log.recorder.append_together = append  # type: ignore[attr-defined]
    yield
