"""What a handler puts off waits with what follows it in its stream, and keeps nothing else waiting."""

from collections.abc import Sequence

import pytest

from domain.event import PutOff, Recorded
from domain.interest import Interest
from domain.job import JobFired
from domain.lease import Lease
from infrastructure.memory.checkpoints import MemoryCheckpoints
from projections import in_order
from projections.follower import Follower
from tests.builders import LEASE, SettableClock
from tests.projections.fakes import PartitionedLog
from tests.projections.following import running, until

pytestmark = pytest.mark.anyio


class Picky:
    """Does everything but what it is told to put off."""

    name = "picky"
    wants = Interest(JobFired)
    may_repeat_unnoticed = False

    def __init__(self, *not_now: str) -> None:
        self.not_now = set(not_now)
        self.runs: list[str] = []
        self.tried: list[str] = []
        self.failures = 0

    async def start_over(self) -> None:
        """Nothing is kept."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> PutOff | None:
        """Each stream's events, up to the first that is to be put off."""
        put_off: list[Recorded] = []
        if self.failures:
            self.failures -= 1
            raise ValueError("it fails as a whole")
        for recorded in events:
            assert isinstance(recorded.event, JobFired)
            run = recorded.event.run_id
            waits = any(each.stream == recorded.stream for each in put_off)
            if not waits:
                self.tried.append(run)
            if waits or run in self.not_now:
                put_off.append(recorded)
            else:
                self.runs.append(run)
        return PutOff(put_off, "the queue is full") if put_off else None


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again at each look."""
    monkeypatch.setattr(in_order, "FIRST_WAIT_SECONDS", 0.0)


def follower_of(handler: Picky, log: PartitionedLog, positions: MemoryCheckpoints) -> Follower:
    return Follower(handler, log, positions, now=SettableClock().now, batch_size=2)


def position_of(log: PartitionedLog, number: int) -> str:
    return f"log/{log.events['log'][number - 1].event_id}"


async def test_the_others_go_on_and_the_position_stays_before_what_waits(log: PartitionedLog) -> None:
    for stream, run in ("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("c", "c1"), ("b", "b2"):
        log.append("log", run, tenant=stream)
    handler, positions = Picky("a2"), MemoryCheckpoints()
    follower = follower_of(handler, log, positions)
    for _ in range(4):
        await follower._take_turn("log", LEASE)
    assert handler.runs == ["a1", "b1", "c1", "b2"]
    assert handler.tried.count("a2") == 4
    assert follower.positions["log"] is None, "a1 and a2 came together"
    assert await positions.load("picky", "log", LEASE) is None
    handler.not_now.clear()
    await follower._take_turn("log", LEASE)
    assert handler.runs == ["a1", "b1", "c1", "b2", "a2", "a3"]
    assert await positions.load("picky", "log", LEASE) == position_of(log, 6)


async def test_the_position_moves_up_to_the_next_that_waits(log: PartitionedLog) -> None:
    for stream in "abcd":
        log.append("log", f"{stream}1", f"{stream}2", tenant=stream)
    handler, positions = Picky("b1", "d1"), MemoryCheckpoints()
    follower = follower_of(handler, log, positions)
    for _ in range(4):
        await follower._take_turn("log", LEASE)
    assert await positions.load("picky", "log", LEASE) == position_of(log, 2)
    handler.not_now.discard("b1")
    await follower._take_turn("log", LEASE)
    assert await positions.load("picky", "log", LEASE) == position_of(log, 6)
    after_a_crash = Picky()
    await follower_of(after_a_crash, log, positions).catch_up(LEASE)
    assert after_a_crash.runs == ["d1", "d2"]


async def test_it_tells_that_something_waits_since_when_and_for_what(log: PartitionedLog) -> None:
    log.append("log", "a1", tenant="a")
    handler, clock = Picky("a1"), SettableClock()
    follower = Follower(handler, log, MemoryCheckpoints(), now=clock.now, poll_seconds=0.01)
    async with running(follower):
        await until(lambda: len(handler.tried) > 1)
        log.append("log", "b1", tenant="b")
        await until(lambda: handler.runs == ["b1"])
        clock.advance(seconds=70)
        status = follower.status
        assert (status.state, status.error) == ("failing", "the queue is full")
        assert status.lag_seconds > 60
        assert follower.failing_seconds == 0, "another instance would do no better"
        handler.not_now.clear()
        await until(lambda: follower.status.state == "running")
        assert (follower.status.lag_seconds, follower.status.error) == (0, None)


async def test_how_far_it_goes_on_has_a_bound(log: PartitionedLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_order, "MOST_AHEAD", 6)
    log.append("log", "a1", tenant="a")
    log.append("log", *(f"b{number}" for number in range(20)), tenant="b")
    handler = Picky("a1")
    follower = follower_of(handler, log, MemoryCheckpoints())
    for _ in range(20):
        await follower._take_turn("log", LEASE)
    assert len(handler.runs) == 7
    handler.not_now.clear()
    await follower.catch_up(LEASE)
    assert sorted(handler.runs) == sorted(["a1", *(f"b{number}" for number in range(20))])


async def test_it_is_tried_again_less_and_less_often(
    log: PartitionedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_order, "FIRST_WAIT_SECONDS", 5.0)
    now = 1000.0
    monkeypatch.setattr("projections.in_order.anyio.current_time", lambda: now)
    log.append("log", "a1", tenant="a")
    handler = Picky("a1")
    follower = follower_of(handler, log, MemoryCheckpoints())
    tried_after = []
    for second in range(1000):
        now = 1000.0 + second
        tries = len(handler.tried)
        await follower._take_turn("log", LEASE)
        if len(handler.tried) > tries:
            tried_after.append(second)
    assert tried_after == [0, 5, 15, 35, 75, 155, 315, 615, 915]


async def test_a_batch_that_fails_comes_again_with_what_was_tried_again(log: PartitionedLog) -> None:
    log.append("log", "a1", tenant="a")
    handler = Picky("a1")
    follower = follower_of(handler, log, MemoryCheckpoints())
    await follower._take_turn("log", LEASE)
    log.append("log", "b1", tenant="b")
    handler.failures = 1
    with pytest.raises(ValueError, match="as a whole"):
        await follower._take_turn("log", LEASE)
    handler.not_now.clear()
    await follower._take_turn("log", LEASE)
    assert handler.runs == ["a1", "b1"]


async def test_what_comes_behind_it_in_its_stream_gets_into_line_once(
    log: PartitionedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_order, "FIRST_WAIT_SECONDS", 5.0)
    now = 1000.0
    monkeypatch.setattr("projections.in_order.anyio.current_time", lambda: now)
    log.append("log", "a1", tenant="a")
    handler = Picky("a1")
    follower = follower_of(handler, log, MemoryCheckpoints())
    await follower._take_turn("log", LEASE)
    log.append("log", "a2", "a3", "a4", tenant="a")
    for _ in range(5):
        await follower._take_turn("log", LEASE)
    assert handler.tried == ["a1"]
    handler.not_now.clear()
    now += 6
    await follower._take_turn("log", LEASE)
    assert handler.runs == ["a1", "a2", "a3", "a4"]
    assert follower.positions["log"] == position_of(log, 4)
