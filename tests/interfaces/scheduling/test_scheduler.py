"""The scheduler really runs here, on schedules that fire within a second."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs
from tenacity.wait import wait_fixed, wait_none

from interfaces.scheduling import engine
from interfaces.scheduling.cron import UnixCron
from interfaces.scheduling.engine import Schedule, ScheduleTrigger
from interfaces.scheduling.pending_firings import BACKOFF
from interfaces.scheduling.scheduler import JobScheduler

pytestmark = pytest.mark.anyio

Firing = tuple[str, datetime]
NEVER = timedelta(days=1000)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Every:
    """A schedule on whole multiples of a fraction of a second since the epoch."""

    def __init__(self, milliseconds: int) -> None:
        self.step = timedelta(milliseconds=milliseconds)

    def next_after(self, moment: datetime) -> datetime:
        epoch = datetime.fromtimestamp(0, UTC)
        return epoch + ((moment - epoch) // self.step + 1) * self.step

    def upcoming(self, moment: datetime, count: int) -> tuple[datetime, ...]:
        first = self.next_after(moment)
        return tuple(first + number * self.step for number in range(count))


class At:
    """A schedule of given times, and then not for years."""

    def __init__(self, *times: datetime) -> None:
        self.times = times

    def next_after(self, moment: datetime) -> datetime:
        return next((time for time in self.times if time > moment), moment + NEVER)

    def upcoming(self, moment: datetime, count: int) -> tuple[datetime, ...]:
        return tuple(time for time in self.times if time > moment)[:count]


def soon(milliseconds: int = 100) -> datetime:
    return datetime.now(UTC) + timedelta(milliseconds=milliseconds)


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(scheduler: JobScheduler) -> AsyncIterator[JobScheduler]:
    await scheduler.start()
    try:
        yield scheduler
    finally:
        await scheduler.stop(timeout_seconds=1)


class Recorder:
    """A `fire` that remembers, after failing as often as told."""

    def __init__(self, *failures: Exception) -> None:
        self.fired: list[Firing] = []
        self.tried: list[Firing] = []
        self.failures = list(failures)

    async def __call__(self, job: str, nominal_time: datetime) -> None:
        self.tried.append((job, nominal_time))
        if self.failures:
            raise self.failures.pop(0)
        self.fired.append((job, nominal_time))


class Gate(Recorder):
    """A `fire` that does not end before it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()

    async def __call__(self, job: str, nominal_time: datetime) -> None:
        self.tried.append((job, nominal_time))
        await self.opened.wait()
        self.fired.append((job, nominal_time))


async def test_each_firing_gets_its_nominal_time_and_not_the_time_it_ran_at() -> None:
    fire = Recorder()
    async with running(JobScheduler({"often": Every(100)}, fire)):
        await until(lambda: len(fire.fired) >= 5)
    times = [nominal_time for _, nominal_time in fire.fired]
    assert all(time.microsecond % 100_000 == 0 and time.tzinfo is UTC for time in times)
    assert all(later - time == timedelta(milliseconds=100) for time, later in pairwise(times))


async def test_every_job_fires_at_its_own_times() -> None:
    fire, first, second = Recorder(), soon(50), soon(120)
    async with running(JobScheduler({"one": At(first), "other": At(first, second)}, fire)):
        await until(lambda: len(fire.fired) == 3)
    assert sorted(fire.fired) == [("one", first), ("other", first), ("other", second)]


async def test_times_that_passed_while_the_loop_was_held_up_are_fired_one_by_one_in_order() -> None:
    fire = Recorder()
    times = [soon(50 + 10 * number) for number in range(10)]
    async with running(JobScheduler({"held": At(*times)}, fire)):
        await asyncio.sleep(0)
        hold_up(0.3)
        await until(lambda: len(fire.fired) == 10)
    assert fire.fired == [("held", time) for time in times]


def hold_up(seconds: float) -> None:
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    while datetime.now(UTC) < end:
        pass


async def test_a_failing_firing_is_tried_again_until_it_succeeds() -> None:
    fire, due = Recorder(OSError("store away"), RuntimeError(), OSError("store away")), soon()
    scheduler = JobScheduler({"job": At(due)}, fire, backoff=wait_none())
    with capture_logs() as logs:
        async with running(scheduler):
            await until(lambda: fire.fired)
            await until(lambda: scheduler.last_error is None)
    assert fire.tried == [("job", due)] * 4
    warnings = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["job"], line["nominal_time"], line["attempt"]) for line in warnings] == [
        ("job", due.isoformat(), attempt) for attempt in (1, 2, 3)
    ]
    assert [line["error"] for line in warnings] == [
        "OSError: store away",
        "RuntimeError",
        "OSError: store away",
    ]


async def test_the_last_error_shows_while_a_firing_fails() -> None:
    fire, due = Recorder(*[OSError("store away")] * 1000), soon(20)
    scheduler = JobScheduler({"job": At(due)}, fire, backoff=wait_fixed(0.01))
    async with running(scheduler):
        await until(lambda: scheduler.last_error and scheduler.last_error.attempts >= 2)
        failure = scheduler.last_error
        assert failure
        assert (failure.job, failure.nominal_time, failure.error) == ("job", due, "OSError: store away")
        fire.failures.clear()
        await until(lambda: fire.fired)
        await until(lambda: scheduler.last_error is None)


async def test_a_job_that_fails_holds_up_its_own_later_firings_and_no_other_job() -> None:
    times = [soon(30), soon(60)]
    fired: list[Firing] = []
    tried: set[Firing] = set()
    away = True

    async def fire(job: str, nominal_time: datetime) -> None:
        tried.add((job, nominal_time))
        if away and job == "failing":
            raise OSError("store away")
        fired.append((job, nominal_time))

    schedules: dict[str, Schedule] = {"failing": At(*times), "fine": At(*times)}
    async with running(JobScheduler(schedules, fire, backoff=wait_fixed(0.01))):
        await until(lambda: len(fired) == 2)
        assert fired == [("fine", time) for time in times]
        assert ("failing", times[1]) not in tried
        away = False
        await until(lambda: len(fired) == 4)
    assert fired[2:] == [("failing", time) for time in times]


async def test_stop_waits_for_the_firing_in_hand() -> None:
    fire, due = Gate(), soon(20)
    scheduler = JobScheduler({"job": At(due)}, fire)
    await scheduler.start()
    await until(lambda: fire.tried)
    stopping = asyncio.create_task(scheduler.stop())
    await asyncio.sleep(0.05)
    assert not stopping.done()
    assert not scheduler.running
    fire.opened.set()
    await stopping
    assert fire.fired == [("job", due)]


async def test_stop_gives_up_a_firing_that_does_not_end_and_says_which() -> None:
    fire, due = Gate(), soon(20)
    scheduler = JobScheduler({"job": At(due)}, fire)
    await scheduler.start()
    await until(lambda: fire.tried)
    with capture_logs() as logs:
        async with asyncio.timeout(2):
            await scheduler.stop(timeout_seconds=0.05)
    [line] = [line for line in logs if line["log_level"] == "error"]
    assert (line["job"], line["nominal_time"]) == ("job", due.isoformat())
    assert fire.fired == []
    assert not any(task.get_name().startswith("firing") for task in asyncio.all_tasks())


async def test_stop_wakes_a_firing_from_its_backoff_for_one_last_try() -> None:
    fire, due = Recorder(OSError("store away")), soon(20)
    scheduler = JobScheduler({"job": At(due)}, fire, backoff=wait_fixed(30))
    await scheduler.start()
    await until(lambda: scheduler.last_error)
    async with asyncio.timeout(2):
        await scheduler.stop()
    assert fire.fired == [("job", due)]


async def test_stop_stores_no_firing_of_a_job_behind_one_that_it_gave_up() -> None:
    away = [OSError("store away")] * 2
    fire, due = Recorder(*away), soon(-20)
    scheduler = JobScheduler({"job": At()}, fire, backoff=wait_fixed(30))
    await scheduler.start(overdue={"job": [due, due + timedelta(milliseconds=1)]})
    await until(lambda: scheduler.last_error)
    with capture_logs() as logs:
        await scheduler.stop()
    assert fire.fired == []
    reasons = [line["reason"] for line in logs if line["event"] == "firing_given_up"]
    assert reasons == ["OSError: store away", "one before it was"]


async def test_stop_gives_up_when_the_last_try_fails_too() -> None:
    fire, due = Recorder(*[OSError("store away")] * 10), soon(20)
    scheduler = JobScheduler({"job": At(due)}, fire, backoff=wait_fixed(30))
    await scheduler.start()
    await until(lambda: scheduler.last_error)
    with capture_logs() as logs:
        async with asyncio.timeout(2):
            await scheduler.stop()
    [line] = [line for line in logs if line["log_level"] == "error"]
    assert (line["nominal_time"], line["reason"]) == (due.isoformat(), "OSError: store away")
    assert len(fire.tried) == 2


async def test_nothing_fires_after_a_stop() -> None:
    fire = Recorder()
    scheduler = JobScheduler({"often": Every(20)}, fire)
    await scheduler.start()
    await until(lambda: len(fire.fired) > 1)
    await scheduler.stop()
    before = len(fire.fired)
    await asyncio.sleep(0.1)
    assert len(fire.fired) == before


async def test_it_can_be_started_again_and_not_twice() -> None:
    fire = Recorder()
    scheduler = JobScheduler({"often": Every(20)}, fire)
    assert not scheduler.running
    await scheduler.stop()
    for _ in range(2):
        fire.fired.clear()
        async with running(scheduler):
            assert scheduler.running
            with pytest.raises(RuntimeError, match="running already"):
                await scheduler.start()
            await until(lambda: fire.fired)
        assert not scheduler.running


async def test_stop_right_after_start_is_clean() -> None:
    scheduler = JobScheduler({"often": Every(20)}, Recorder())
    await scheduler.start()
    await scheduler.stop()
    assert not scheduler.running


async def test_the_wall_clock_is_looked_at_though_nothing_is_due_for_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine, "LONGEST_SLEEP_SECONDS", 0.02)
    with caplog.at_level(logging.DEBUG, logger="apscheduler.scheduler"):
        async with running(JobScheduler({"rare": At()}, Recorder())):
            await until(lambda: caplog.text.count("Looking for jobs to run") > 3)


async def test_a_fire_that_is_no_coroutine_function_is_awaited_all_the_same() -> None:
    recorder = Recorder()

    def fire(job: str, nominal_time: datetime) -> Awaitable[None]:
        return recorder(job, nominal_time)

    async with running(JobScheduler({"job": At(soon(20))}, fire)):
        await until(lambda: recorder.fired)


def test_a_trigger_asks_for_the_time_after_the_one_before() -> None:
    cron = UnixCron("* * * * *", ZoneInfo("UTC"))
    trigger, now = ScheduleTrigger(cron), datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
    first = trigger.get_next_fire_time(None, now)
    assert first == now.replace(minute=1, second=0)
    assert trigger.get_next_fire_time(first, now + timedelta(hours=5)) == now.replace(minute=2, second=0)
    assert str(trigger) == "UnixCron('* * * * *', 'UTC')"


def test_tries_are_never_more_than_half_a_minute_apart_nor_in_step() -> None:
    from tenacity import RetryCallState, Retrying

    def waits(attempt: int) -> Sequence[float]:
        state = RetryCallState(Retrying(), None, (), {})
        state.attempt_number = attempt
        return [BACKOFF(state) for _ in range(200)]

    assert max(waits(1)) <= 0.5
    for attempt in (10, 5000):
        assert max(waits(attempt)) <= 30
        assert len(set(waits(attempt))) > 100
