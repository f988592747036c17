"""A clock that was set forward and then back: nothing fires in bulk unsaid, fires twice or stands still."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from apscheduler.schedulers import base
from structlog.testing import capture_logs
from structlog.typing import EventDict

from application.jobs import Jobs
from domain.job import JobFired, JobRunMissed, JobRunsMissed
from interfaces.scheduling import engine
from interfaces.scheduling.cron_commands import CronCommands
from interfaces.scheduling.watch import CronWatch
from tests.builders import LEASE, SettableClock
from tests.interfaces.scheduling.simulation import Simulation
from tests.jobs import JOB, definition

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


class WallClock(SettableClock):
    """It goes on by itself from where it was set last; the scheduler's engine looks at it too."""

    def __init__(self, moment: datetime) -> None:
        super().__init__(moment)
        self._ahead = timedelta()
        self.set(moment)

    def set(self, moment: datetime) -> None:
        self._ahead = moment - datetime.now(UTC)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    clock = WallClock(NOON - timedelta(minutes=30))

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Shifted":
            return clock.now()  # type: ignore[return-value]

    monkeypatch.setattr(engine, "datetime", Shifted)
    monkeypatch.setattr(base, "datetime", Shifted)
    monkeypatch.setattr(engine, "LONGEST_SLEEP_SECONDS", 0.05)
    return clock


@pytest.fixture
def told() -> Iterator[list[EventDict]]:
    with capture_logs() as told:
        yield told


class Process:
    """Processes of an hourly job, one after the other."""

    def __init__(self, clock: WallClock, **policy: object) -> None:
        self._simulation = Simulation(Jobs([definition(JOB, "0 * * * *", **policy)]), clock)  # type: ignore[arg-type]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        at, firings = self._simulation, CronCommands(self._simulation.dispatch)
        watch = CronWatch(at.jobs, at.schedules, firings.fire, firings.miss, at.marks, at.clock)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch.run, LEASE)
            with anyio.fail_after(5):
                while not watch.scheduler.running:
                    await anyio.sleep(0.01)
            yield
            watch.stop()

    def _nominal(self, kind: type[JobFired | JobRunMissed]) -> list[datetime]:
        events = self._simulation.memory.history(JOB)
        return [each.nominal_at for each in events if isinstance(each, kind) and each.nominal_at is not None]

    @property
    def fired(self) -> list[datetime]:
        return self._nominal(JobFired)

    @property
    def missed(self) -> list[datetime]:
        return self._nominal(JobRunMissed)

    @property
    def missed_as_one(self) -> int:
        events = self._simulation.memory.history(JOB)
        return sum(each.number for each in events if isinstance(each, JobRunsMissed))


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(5):
        while not condition():
            await anyio.sleep(0.01)


def jumps(told: list[EventDict]) -> list[float]:
    """In hours, as they were told."""
    return [round(each["seconds"] / 3600, 1) for each in told if each["event"] == "clock_jumped"]


async def test_what_a_clock_that_is_set_forward_passes_over_is_told_apart_as_after_a_downtime(
    clock: WallClock, told: list[EventDict]
) -> None:
    process = Process(clock, catch_up="latest")
    async with process.running():
        clock.set(NOON + 3.5 * HOUR)
        await until(lambda: process.fired)
        await anyio.sleep(0.2)
    assert process.fired == [NOON + 3 * HOUR]
    assert process.missed == [NOON, NOON + HOUR, NOON + 2 * HOUR]
    assert jumps(told) == [4.0]


async def test_once_it_is_set_back_a_firing_comes_at_its_time_though_it_was_missed_and_none_twice(
    clock: WallClock, told: list[EventDict]
) -> None:
    process = Process(clock, catch_up="latest")
    async with process.running():
        clock.set(NOON + 1.5 * HOUR)
        await until(lambda: process.fired)
        clock.set(NOON - timedelta(seconds=1))
        await until(lambda: len(process.fired) == 2)
        assert process.fired == [NOON + HOUR, NOON]
        clock.set(NOON + HOUR - timedelta(seconds=1))
        await until(lambda: len(jumps(told)) == 3)
        await anyio.sleep(1.5)
        assert process.fired == [NOON + HOUR, NOON], "it was fired when the clock was ahead"
        clock.set(NOON + 2 * HOUR - timedelta(seconds=1))
        await until(lambda: len(process.fired) == 3)
    assert process.fired[2] == NOON + 2 * HOUR
    assert jumps(told) == [2.0, -1.5, 1.0, 1.0]


async def test_a_start_on_a_clock_that_is_years_ahead_keeps_nothing_from_firing_once_it_is_right(
    clock: WallClock, told: list[EventDict]
) -> None:
    process = Process(clock, catch_up="latest")
    async with process.running():
        pass
    clock.set(NOON + timedelta(days=365))
    async with process.running():
        await until(lambda: process.fired)
    assert process.missed_as_one > 7000
    clock.set(NOON - timedelta(seconds=1))
    async with process.running():
        await until(lambda: len(process.fired) == 2)
    assert process.fired[1] == NOON
    (word,) = [each for each in told if each["event"] == "clock_was_set_back"]
    assert word["watched_until"].startswith("2027-11-24T12:00")
