"""The clock is watched by one at a time, and what passed while nobody watched is fired late, not missed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import anyio
import pytest

from domain.errors import LeaseLost
from domain.lease import Lease
from infrastructure.clock import SystemClock
from infrastructure.memory.checkpoints import MemoryCheckpoints
from interfaces.scheduling.cron import UnixCron
from interfaces.scheduling.marks import Marks
from interfaces.scheduling.watch import CronOff, CronWatch
from tests.builders import LEASE, Held

pytestmark = pytest.mark.anyio

JOB = "outcome-sync"
BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def every_minute(zone: ZoneInfo | None = None, expression: str = "* * * * *") -> dict[str, UnixCron]:
    return {JOB: UnixCron(expression, zone or ZoneInfo("UTC"))}


@pytest.fixture
def positions() -> MemoryCheckpoints:
    return MemoryCheckpoints()


async def test_a_job_that_is_new_owes_nothing_for_the_past(positions: MemoryCheckpoints) -> None:
    marks = Marks(positions, every_minute(), catch_up=DAY)
    assert await marks.since(NOON, LEASE) == {JOB: NOON}


async def test_the_clock_is_watched_on_from_the_last_firing(positions: MemoryCheckpoints) -> None:
    marks = Marks(positions, every_minute(), catch_up=DAY)
    await marks.move(JOB, NOON - timedelta(minutes=7), LEASE)
    assert await marks.since(NOON, LEASE) == {JOB: NOON - timedelta(minutes=7)}


async def test_a_job_that_has_not_fired_yet_is_watched_from_where_it_was_first_seen(
    positions: MemoryCheckpoints,
) -> None:
    marks = Marks(positions, every_minute(), catch_up=DAY)
    await marks.since(NOON, LEASE)
    assert await marks.since(NOON + timedelta(hours=2), LEASE) == {JOB: NOON}


async def test_no_further_back_than_the_settings_say(positions: MemoryCheckpoints) -> None:
    marks = Marks(positions, every_minute(), catch_up=timedelta(minutes=5))
    await marks.move(JOB, NOON - DAY, LEASE)
    assert await marks.since(NOON, LEASE) == {JOB: NOON - timedelta(minutes=5)}


@pytest.mark.parametrize(
    "changed", [every_minute(BERLIN), every_minute(expression="*/2 * * * *")], ids=["zone", "expression"]
)
async def test_another_schedule_owes_nothing_for_the_past(
    positions: MemoryCheckpoints, changed: dict[str, UnixCron]
) -> None:
    await Marks(positions, every_minute(), catch_up=DAY).move(JOB, NOON - timedelta(hours=1), LEASE)
    marks = Marks(positions, changed, catch_up=DAY)
    assert await marks.since(NOON, LEASE) == {JOB: NOON}
    assert await marks.since(NOON + timedelta(hours=1), LEASE) == {JOB: NOON}


async def test_what_passed_while_cron_was_off_is_not_made_up_for(positions: MemoryCheckpoints) -> None:
    marks = Marks(positions, every_minute(), catch_up=DAY)
    await marks.move(JOB, NOON - timedelta(hours=1), LEASE)
    await CronOff(marks).take_over(LEASE)
    assert await marks.since(NOON, LEASE) == {JOB: NOON}


class Runs:
    """The runs that were opened."""

    def __init__(self) -> None:
        self.nominal: list[datetime] = []

    async def __call__(self, job: str, nominal_at: datetime) -> None:
        assert job == JOB
        self.nominal.append(nominal_at)


@asynccontextmanager
async def watching(watch: CronWatch, lease: Lease = LEASE) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        group.start_soon(watch.run, lease)
        yield
        watch.stop()


async def until_count(runs: Runs, count: int) -> None:
    with anyio.fail_after(5):
        while len(runs.nominal) < count:
            await anyio.sleep(0.01)


async def test_who_takes_over_fires_what_nobody_was_there_for_in_order_and_once(
    positions: MemoryCheckpoints,
) -> None:
    schedules, clock = every_minute(), SystemClock()
    marks = Marks(positions, schedules, catch_up=DAY)
    minute = clock.now().replace(second=0, microsecond=0)
    await marks.move(JOB, minute - timedelta(minutes=5), LEASE)
    runs = Runs()
    async with watching(CronWatch(schedules, runs, marks, clock)):
        await until_count(runs, 5)
    assert runs.nominal[:5] == [minute - timedelta(minutes=back) for back in (4, 3, 2, 1, 0)]
    again = Runs()
    async with watching(CronWatch(schedules, again, marks, clock)):
        await anyio.sleep(0.1)
    assert not set(again.nominal) & set(runs.nominal)


async def test_nothing_fires_under_a_lease_that_is_lost(positions: MemoryCheckpoints) -> None:
    class Lost(Held):
        def check(self) -> None:
            raise LeaseLost("paused")

    schedules, clock = every_minute(), SystemClock()
    marks = Marks(positions, schedules, catch_up=DAY)
    await marks.move(JOB, clock.now() - timedelta(minutes=5), LEASE)
    runs = Runs()
    watch = CronWatch(schedules, runs, marks, clock)
    async with watching(watch, Lost("scheduler", 1)):
        with anyio.fail_after(5):
            while watch.scheduler.last_error is None:
                await anyio.sleep(0.01)
    assert runs.nominal == []
    assert not watch.scheduler.running
