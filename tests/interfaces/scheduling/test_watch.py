"""The clock is watched by one at a time, and what passed while nobody watched is fired late, not missed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import pytest

from application.jobs import Jobs
from application.ports import Clock
from domain.lease import Lease
from infrastructure.clock import SystemClock
from infrastructure.memory.checkpoints import MemoryCheckpoints
from interfaces.scheduling.cron import UnixCron
from interfaces.scheduling.marks import Marks
from interfaces.scheduling.watch import CronOff, CronWatch
from tests.builders import LEASE, LostAfterwards
from tests.jobs import definition

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
    marks = Marks(positions, every_minute())
    assert await marks.since(NOON, LEASE) == {JOB: NOON}


async def test_the_clock_is_watched_on_from_the_last_firing(positions: MemoryCheckpoints) -> None:
    marks = Marks(positions, every_minute())
    await marks.move(JOB, NOON - timedelta(minutes=7), LEASE)
    assert await marks.since(NOON, LEASE) == {JOB: NOON - timedelta(minutes=7)}


async def test_a_job_that_has_not_fired_yet_is_watched_from_where_it_was_first_seen(
    positions: MemoryCheckpoints,
) -> None:
    marks = Marks(positions, every_minute())
    await marks.since(NOON, LEASE)
    assert await marks.since(NOON + timedelta(hours=2), LEASE) == {JOB: NOON}


@pytest.mark.parametrize(
    "changed", [every_minute(BERLIN), every_minute(expression="*/2 * * * *")], ids=["zone", "expression"]
)
async def test_another_schedule_owes_nothing_for_the_past(
    positions: MemoryCheckpoints, changed: dict[str, UnixCron]
) -> None:
    await Marks(positions, every_minute()).move(JOB, NOON - timedelta(hours=1), LEASE)
    marks = Marks(positions, changed)
    assert await marks.since(NOON, LEASE) == {JOB: NOON}
    assert await marks.since(NOON + timedelta(hours=1), LEASE) == {JOB: NOON}


async def test_what_passed_while_cron_was_off_is_not_made_up_for(positions: MemoryCheckpoints) -> None:
    marks = Marks(positions, every_minute())
    await marks.move(JOB, NOON - timedelta(hours=1), LEASE)
    await CronOff(marks).take_over(LEASE)
    assert await marks.since(NOON, LEASE) == {JOB: NOON}


async def test_a_job_that_is_switched_off_owes_nothing_when_it_is_switched_on_again(
    positions: MemoryCheckpoints,
) -> None:
    schedules = every_minute()
    await Marks(positions, schedules).move(JOB, NOON - timedelta(hours=1), LEASE)
    assert await Marks(positions, {}, switched_off=[JOB]).since(NOON, LEASE) == {}
    later = NOON + timedelta(hours=1)
    assert await Marks(positions, schedules).since(later, LEASE) == {JOB: later}


async def test_a_job_that_was_taken_out_while_cron_was_off_owes_nothing(positions: MemoryCheckpoints) -> None:
    schedules = every_minute()
    marks = Marks(positions, schedules)
    await marks.since(NOON - timedelta(hours=1), LEASE)
    await CronOff(Marks(positions, {})).take_over(LEASE)
    assert await marks.since(NOON, LEASE) == {JOB: NOON}


async def test_marks_of_a_release_that_did_not_keep_which_jobs_were_watched_are_believed(
    positions: MemoryCheckpoints,
) -> None:
    marks = Marks(positions, every_minute())
    await marks.move(JOB, NOON - timedelta(hours=1), LEASE)
    assert await marks.since(NOON, LEASE) == {JOB: NOON - timedelta(hours=1)}


async def test_a_look_at_the_mark_leaves_it_where_it_is(positions: MemoryCheckpoints) -> None:
    marks = Marks(positions, every_minute())
    assert await marks.peek(JOB) is None
    await marks.move(JOB, NOON, LEASE)
    assert await marks.peek(JOB) == NOON
    assert await Marks(positions, every_minute(BERLIN)).peek(JOB) is None
    assert await marks.since(NOON + DAY, LEASE) == {JOB: NOON}


class Runs:
    """The runs that were opened, and what was told as missed."""

    def __init__(self) -> None:
        self.nominal: list[datetime] = []
        self.missed: list[datetime] = []

    async def miss(self, job: str, nominal_at: Sequence[datetime]) -> None:
        assert job == JOB
        self.missed += nominal_at

    async def __call__(self, job: str, nominal_at: datetime) -> None:
        assert job == JOB
        self.nominal.append(nominal_at)


def watch_of(
    schedules: dict[str, UnixCron], runs: Runs, marks: Marks, clock: Clock, **policy: Any
) -> CronWatch:
    return CronWatch(Jobs([definition(JOB, **policy)]), schedules, runs, runs.miss, marks, clock)


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
    marks = Marks(positions, schedules)
    minute = clock.now().replace(second=0, microsecond=0)
    await marks.move(JOB, minute - timedelta(minutes=5), LEASE)
    runs = Runs()
    async with watching(watch_of(schedules, runs, marks, clock)):
        await until_count(runs, 5)
    assert runs.nominal[:5] == [minute - timedelta(minutes=back) for back in (4, 3, 2, 1, 0)]
    again = Runs()
    async with watching(watch_of(schedules, again, marks, clock)):
        await anyio.sleep(0.1)
    assert not set(again.nominal) & set(runs.nominal)


async def test_nothing_fires_under_a_lease_that_is_lost(positions: MemoryCheckpoints) -> None:
    schedules, clock = every_minute(), SystemClock()
    marks = Marks(positions, schedules)
    await marks.move(JOB, clock.now() - timedelta(minutes=5), LEASE)
    runs = Runs()
    watch = watch_of(schedules, runs, marks, clock)
    async with watching(watch, LostAfterwards("scheduler", 1)):
        with anyio.fail_after(5):
            while watch.scheduler.last_error is None:
                await anyio.sleep(0.01)
    assert runs.nominal == []
    assert not watch.scheduler.running


async def test_what_is_not_made_up_for_is_told_before_the_rest_is_fired(positions: MemoryCheckpoints) -> None:
    schedules, clock = every_minute(), SystemClock()
    marks = Marks(positions, schedules)
    minute = clock.now().replace(second=0, microsecond=0)
    await marks.move(JOB, minute - timedelta(minutes=5), LEASE)
    runs = Runs()
    async with watching(watch_of(schedules, runs, marks, clock, catch_up="latest")):
        await until_count(runs, 1)
    assert runs.missed == [minute - timedelta(minutes=back) for back in (4, 3, 2, 1)]
    assert runs.nominal[0] == minute


async def test_where_nothing_is_made_up_for_the_clock_is_watched_from_now_on(
    positions: MemoryCheckpoints,
) -> None:
    clock = SystemClock()
    schedules = every_minute(expression=f"0 {(clock.now().hour + 12) % 24} * * *")
    marks = Marks(positions, schedules)
    await marks.move(JOB, clock.now() - timedelta(days=10), LEASE)
    runs = Runs()
    watch = watch_of(schedules, runs, marks, clock, catch_up="none")
    async with watching(watch):
        with anyio.fail_after(5):
            while not watch.scheduler.running:
                await anyio.sleep(0.01)
    assert len(runs.missed) == 10
    assert runs.nominal == []
    again = Runs()
    async with watching(watch_of(schedules, again, marks, clock, catch_up="none")):
        await anyio.sleep(0.1)
    assert again.missed == []
