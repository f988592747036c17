"""The next try of a step comes, whoever resumes the workflow when and by whichever clock: on real logs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from application.event_log import EventLog
from application.workflow_commands import PauseWorkflow, ResumeWorkflow
from domain.workflow import StepDispatched, StepHeldBack
from tests.application.instances import NEXT_TRY, STREAM, Instance, failed, started, two_instances
from tests.application.logs import (
    UNVERIFIED,
    Settings,
    cosmos_settings,
    postgres_settings,
    sqlite_settings,
)
from tests.builders import after, metadata

pytestmark = [pytest.mark.anyio, UNVERIFIED]

MOMENT = timedelta(milliseconds=20)


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
    """A step of theirs waits for its next try, and the workflow is paused."""
    async with two_instances(settings, tmp_path) as (ordering, firing):
        for command in (started(), failed(), PauseWorkflow(meta=metadata(), workflow_id="w-1", reason="x")):
            await ordering.give(command)
        assert (await firing.state()).steps["a"].retry_at == NEXT_TRY
        yield ordering, firing


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
    await firing.keep_timers(events)
    firing.clock.moment = after(days=400)
    assert [await firing.fire(), await firing.fire()] == [1, 0]
    events = await firing.store.load(STREAM)
    assert len([each for each in events if isinstance(each.event, StepHeldBack)]) == 1


@contextmanager
def before_the_next_append(log: EventLog, do: Callable[[], Awaitable[Any]]) -> Iterator[None]:
    """Something else is done when an append is decided, and not made."""
    loop, real = asyncio.get_running_loop(), log.ours.append_together

    async def done() -> None:
        await do()

    def append(*arguments: Any) -> Any:
        log.recorder.append_together = real  # type: ignore[attr-defined]
        asyncio.run_coroutine_threadsafe(done(), loop).result()
        return real(*arguments)

    log.recorder.append_together = append  # type: ignore[attr-defined]
    yield
