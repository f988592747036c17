"""Of many tenants each has its turn: one with a long past, or always busy, keeps nobody else waiting."""

from collections.abc import Callable, Mapping, Sequence

import anyio
import pytest

from domain.event import Recorded
from domain.lease import Lease, Unrivalled
from infrastructure.memory.checkpoints import MemoryCheckpoints
from projections import patience
from projections.follower import Follower
from tests.builders import LEASE, SettableClock
from tests.projections.fakes import PartitionedLog, Remembering

pytestmark = pytest.mark.anyio

BATCH = 500
BUSY = "busy"
SMALL = [f"small-{number}" for number in range(50)]


class Hooked(Remembering):
    """Tells of each batch, before it is handled, whose it is."""

    def __init__(self, on_batch: Callable[[str], None]) -> None:
        super().__init__()
        self._on_batch = on_batch

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        self._on_batch(events[0].stream.rpartition("/")[2])
        await super().handle(events, lease)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_SECONDS", 0.005)


@pytest.fixture
def log() -> PartitionedLog:
    """A tenant with 20,000 events, before fifty that have a few."""
    log = PartitionedLog(BUSY, *SMALL)
    log.append(BUSY, *map(str, range(20_000)))
    for name in SMALL:
        log.append(name, f"{name} a", f"{name} b")
    return log


def follower_of(handler: Remembering, log: PartitionedLog) -> Follower:
    return Follower(handler, log, MemoryCheckpoints(), now=SettableClock().now, batch_size=BATCH)


async def test_each_of_many_has_one_batch_in_turn(log: PartitionedLog) -> None:
    order: list[str] = []
    handler = Hooked(order.append)
    await follower_of(handler, log).catch_up(LEASE)
    assert order == [BUSY, *SMALL, *[BUSY] * 39]
    assert handler.batches[1] == ["small-0 a", "small-0 b"]
    assert [run for run in handler.runs if run.isdigit()] == list(map(str, range(20_000)))
    rounds = len(log.reads) / (1 + len(SMALL))
    assert rounds == 41, "forty full batches, and a look that finds nothing"


async def test_what_comes_while_another_is_behind_has_its_turn_after_one_batch(log: PartitionedLog) -> None:
    order: list[str] = []

    def on_batch(partition: str) -> None:
        order.append(partition)
        if order.count(BUSY) == 5 and partition == BUSY:
            log.append("small-7", "news")
            log.append("new", "first of a tenant")

    await follower_of(Hooked(on_batch), log).catch_up(LEASE)
    fifth = [number for number, partition in enumerate(order) if partition == BUSY][4]
    assert order[fifth : fifth + 4] == [BUSY, "small-7", BUSY, "new"]
    assert order.count(BUSY) == 40


async def test_one_that_fails_has_no_turn_more_until_the_others_have_had_theirs(log: PartitionedLog) -> None:
    def on_batch(partition: str) -> None:
        if partition == "small-3":
            raise ValueError("poison")

    handler = Hooked(on_batch)
    follower = follower_of(handler, log)
    with pytest.raises(ValueError, match="poison"):
        await follower.catch_up(LEASE)
    assert len(handler.runs) == 20_000 + 2 * 49
    assert [partition for partition, _ in log.reads].count("small-3") == 1
    assert follower.positions["small-3"] is None


async def test_one_that_always_has_a_few_more_holds_nobody_up() -> None:
    """Not those either that failed and are to be tried again, nor what is told of the state."""
    log, tried = PartitionedLog("always", "failing"), list[str]()

    def on_batch(partition: str) -> None:
        tried.append(partition)
        if partition == "always":
            log.append("always", "one more")
        elif len(tried) < 10:
            raise ValueError("no luck")

    handler = Hooked(on_batch)
    follower = follower_of(handler, log)
    log.append("always", "first")
    log.append("failing", "a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follower.run, LEASE)
        with anyio.fail_after(5):
            while follower.status.state != "running":
                await anyio.sleep(0.001)
        assert "a" in handler.runs
        follower.stop()


async def test_while_one_waits_to_be_tried_again_the_others_get_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_SECONDS", 60.0)
    log, tried, is_mended = PartitionedLog("poisoned", "fine"), list[str](), False

    def on_batch(partition: str) -> None:
        tried.append(partition)
        if partition == "poisoned" and not is_mended:
            raise ValueError("poison")

    handler = Hooked(on_batch)
    follower = follower_of(handler, log)
    log.append("poisoned", "a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follower.run, LEASE)
        with anyio.fail_after(5):
            for number in range(5):
                log.append("fine", str(number))
                while handler.runs != [str(done) for done in range(number + 1)]:
                    await anyio.sleep(0.001)
        assert tried.count("poisoned") == 1
        status = follower.status
        assert (status.state, status.error, status.failures) == ("failing", "ValueError: poison", 1)
        assert follower.failing_seconds == 0.0, "some got on: no other instance is to take over"
        is_mended = True
        vars(follower._troubles)["_by_partition"].clear()
        log.append("fine", "last")
        with anyio.fail_after(5):
            while follower.status.state != "running":
                await anyio.sleep(0.001)
        assert follower.status.error is None
        assert "a" in handler.runs
        follower.stop()


async def test_one_that_failed_is_tried_again_in_its_time_though_nothing_is_appended() -> None:
    log, failures = PartitionedLog("poisoned", "fine"), 4

    def on_batch(partition: str) -> None:
        nonlocal failures
        if partition == "poisoned" and failures:
            failures -= 1
            raise ValueError("poison")

    handler = Hooked(on_batch)
    follower = Follower(handler, log, MemoryCheckpoints(), now=SettableClock().now, poll_seconds=60.0)
    log.append("poisoned", "a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follower.run, LEASE)
        with anyio.fail_after(5):
            while handler.runs != ["a"]:
                await anyio.sleep(0.001)
        follower.stop()
    assert follower.status.failures == 4


async def test_what_was_loaded_when_it_took_over_is_loaded_again_under_another_lease_alone() -> None:
    """Of many tenants that takes a while."""
    loads: list[str] = []
    at_once: list[list[str]] = []

    class Counting(MemoryCheckpoints):
        async def load(self, follower: str, partition: str, lease: Lease) -> str | None:
            loads.append(partition)
            return await super().load(follower, partition, lease)

        async def load_all(
            self, follower: str, partitions: Sequence[str], lease: Lease
        ) -> Mapping[str, str | None]:
            at_once.append(list(partitions))
            return await super().load_all(follower, partitions, lease)

    log, positions = PartitionedLog("one", "two"), Counting()
    log.append("one", "a")
    for lease_of_take_over, looks in ((LEASE, 1), (Unrivalled("another"), 2)):
        handler = Remembering()
        follower = Follower(handler, log, positions, now=SettableClock().now)
        loads.clear()
        await follower.take_over(lease_of_take_over)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follower.run, LEASE)
            with anyio.fail_after(5):
                while follower.status.state != "running":
                    await anyio.sleep(0.001)
            follower.stop()
        assert loads == ["one", "two"] * looks
        assert at_once.pop() == ["one", "two"], "one by one they would be as many requests"
        assert handler.runs == (["a"] if looks == 1 else [])
