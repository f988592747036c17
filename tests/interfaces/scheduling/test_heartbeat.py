"""The heartbeat against a listener in another process that is slow, fails and lies."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import anyio
import pytest
import structlog
from structlog.testing import capture_logs

from application.jobs import Jobs
from domain.errors import StoreUnavailable
from domain.job import JobDefinition, Schedule
from infrastructure.clock import SystemClock
from infrastructure.memory.checkpoints import MemoryCheckpoints
from interfaces.scheduling.cron import UnixCron, schedule_of
from interfaces.scheduling.heartbeat import Heartbeat
from interfaces.scheduling.marks import Marks
from interfaces.scheduling.watch import CronWatch
from tests.builders import LEASE, LostAfterwards
from tests.lying_service import Neighbour, lying_service
from tests.services import free_port

pytestmark = pytest.mark.anyio

EVERY = 0.1


@pytest.fixture(autouse=True)
def _good_news_is_logged_too(_quiet_logs: None) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))


@pytest.fixture(scope="module")
def listener() -> Iterator[Neighbour]:
    with lying_service() as neighbour:
        yield neighbour


class Beats:
    """A heartbeat to an address of its own, with what it stands on and what it is counted by."""

    def __init__(self, url: str, path: str, *, timeout_seconds: float = 10.0) -> None:
        self.secret = uuid4().hex
        self.path = f"{path}/{self.secret}"
        self.counted: list[bool] = []
        self.away: Exception | None = None
        self.heartbeat = Heartbeat(
            f"{url}{self.path}?{self.secret}",
            self._ping,
            self.counted.append,
            user_agent="tests",
            every_seconds=EVERY,
            timeout_seconds=timeout_seconds,
        )

    async def _ping(self) -> None:
        if self.away is not None:
            raise self.away

    async def until(self, count: int) -> None:
        """Wait for so many beats, answered or not."""
        with anyio.fail_after(10):
            while len(self.counted) < count:
                await anyio.sleep(0.01)

    @asynccontextmanager
    async def beating(self, *, is_well: bool = True) -> AsyncIterator[None]:
        """While the heart beats."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.heartbeat.run, lambda: is_well)
            yield
            tasks.cancel_scope.cancel()


async def test_it_asks_again_and_again(listener: Neighbour) -> None:
    beats = Beats(listener.url, "/ok")
    begun = anyio.current_time()
    async with beats.beating():
        await beats.until(4)
    assert anyio.current_time() - begun > 2.9 * EVERY
    asked = listener.seen(beats.path)
    assert len(asked) == 4
    assert {each["method"] for each in asked} == {"GET"}
    assert all(beats.counted)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/status/404", "answered 404"),
        ("/status/500", "answered 500"),
        ("/elsewhere/1", "answered 302: redirects are not followed"),
        ("/hang", "no answer within 0.2 s"),
        ("/garbage", "no answer: RemoteProtocolError"),
        ("/reset", "no answer: ReadError"),
    ],
)
async def test_whatever_the_listener_does_is_counted_and_told_once_and_without_the_address(
    listener: Neighbour, path: str, reason: str
) -> None:
    beats = Beats(listener.url, path, timeout_seconds=0.2)
    with capture_logs() as logs:
        async with beats.beating():
            await beats.until(3)
    assert not any(beats.counted)
    assert [each["event"] for each in logs] == ["heartbeat_failing"]
    assert logs[0]["reason"] == reason
    assert beats.secret not in str(logs)


async def test_a_redirect_is_not_followed(listener: Neighbour) -> None:
    beats = Beats(listener.url, "/same_host/302")
    async with beats.beating():
        await beats.until(1)
    assert not [each for each in listener.seen("/ok") if "moved" in each["query"]]


async def test_an_answer_without_end_is_not_waited_for(listener: Neighbour) -> None:
    beats = Beats(listener.url, "/endless")
    async with beats.beating():
        await beats.until(2)
    assert all(beats.counted)


async def test_nobody_there_is_a_failure_and_somebody_again_is_told() -> None:
    port = free_port()
    beats = Beats(f"http://127.0.0.1:{port}", "/beat")
    answered: list[bytes] = []

    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            answered.append(await stream.receive())
            await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with capture_logs() as logs:
        async with beats.beating():
            await beats.until(2)
            async with (
                await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port) as server,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(server.serve, answer)
                before = len(beats.counted)
                await beats.until(before + 3)
                tasks.cancel_scope.cancel()
    assert beats.counted[0] is False
    assert beats.counted[-1] is True
    assert [each["event"] for each in logs] == ["heartbeat_failing", "heartbeat_answered_again"]


async def test_there_is_none_while_the_store_is_away_and_one_as_soon_as_it_is_back(
    listener: Neighbour,
) -> None:
    beats = Beats(listener.url, "/ok")
    beats.away = StoreUnavailable("no answer")
    with capture_logs() as logs:
        async with beats.beating():
            await anyio.sleep(5 * EVERY)
            assert listener.seen(beats.path) == []
            beats.away = None
            await beats.until(1)
    assert [each["event"] for each in logs] == ["heartbeat_failing", "heartbeat_answered_again"]


async def test_what_breaks_in_the_ping_is_silence_and_no_more(listener: Neighbour) -> None:
    beats = Beats(listener.url, "/ok")
    beats.away = RuntimeError("a bug")
    async with beats.beating():
        await anyio.sleep(3 * EVERY)
        beats.away = None
        await beats.until(1)


async def test_there_is_none_while_the_scheduler_does_not_keep_up(listener: Neighbour) -> None:
    beats = Beats(listener.url, "/ok")
    async with beats.beating(is_well=False):
        await anyio.sleep(3 * EVERY)
    assert beats.counted == []
    assert listener.seen(beats.path) == []


def watch(beats: Beats, *, cron: str = "0 1 * * *", marks: MemoryCheckpoints | None = None) -> CronWatch:
    """Cron with that heartbeat, over a store that stores no firing."""
    definition = JobDefinition(name="j", schedule=Schedule(cron=cron, time_zone="UTC"))
    schedules = {"j": schedule_of(definition)}

    async def fire(job: str, nominal_at: object) -> None:
        raise StoreUnavailable("read only")

    async def miss(job: str, nominal_at: object) -> None:
        """It is told of elsewhere."""

    kept = Marks(marks or MemoryCheckpoints(), schedules)
    return CronWatch(Jobs([definition]), schedules, fire, miss, kept, SystemClock(), beats.heartbeat)


async def test_it_beats_while_the_clock_is_watched_and_no_longer(listener: Neighbour) -> None:
    beats = Beats(listener.url, "/ok")
    cron = watch(beats)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cron.run, LEASE)
        await beats.until(2)
        cron.stop()
    so_many = len(beats.counted)
    await anyio.sleep(3 * EVERY)
    assert len(beats.counted) == so_many
    assert not cron.scheduler.running


async def test_it_stops_when_the_lease_is_lost(listener: Neighbour) -> None:
    beats = Beats(listener.url, "/ok")
    cron = watch(beats)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cron.run, LEASE)
        await beats.until(1)
        tasks.cancel_scope.cancel()
    so_many = len(beats.counted)
    await anyio.sleep(3 * EVERY)
    assert len(beats.counted) == so_many


async def test_a_holder_whose_lease_has_run_out_does_not_beat(listener: Neighbour) -> None:
    beats = Beats(listener.url, "/ok")
    cron = watch(beats)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cron.run, LostAfterwards("scheduler", 1))
        await anyio.sleep(3 * EVERY)
        tasks.cancel_scope.cancel()
    assert listener.seen(beats.path) == []


async def test_a_firing_that_cannot_be_stored_for_a_minute_is_silence(listener: Neighbour) -> None:
    beats = Beats(listener.url, "/ok")
    positions, now = MemoryCheckpoints(), SystemClock().now()
    every_minute = {"j": UnixCron("* * * * *", ZoneInfo("UTC"))}
    await Marks(positions, every_minute).move("j", now - timedelta(minutes=5), LEASE)
    cron = watch(beats, cron="* * * * *", marks=positions)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cron.run, LEASE)
        with anyio.fail_after(5):
            while cron.scheduler.last_error is None:
                await anyio.sleep(0.01)
        await anyio.sleep(EVERY)
        so_many = len(beats.counted)
        await anyio.sleep(4 * EVERY)
        assert len(beats.counted) == so_many
        assert not cron.scheduler.keeps_up(now)
        tasks.cancel_scope.cancel()
