"""Tenants take turns in a log of one order: thousands of one keep no other waiting, and nothing is lost."""

import random
from collections import Counter
from collections.abc import Sequence

import anyio
import pytest

from domain.event import Recorded
from domain.interest import Interest
from domain.job import JobFired
from domain.lease import Lease
from infrastructure.memory.checkpoints import MemoryCheckpoints
from projections import turns
from projections.follower import Follower
from projections.reading import Portion
from projections.turns import LONG_LANE, MOST_AHEAD, MOST_APART, PORTION, InTurns
from tests.builders import LEASE, SettableClock
from tests.projections.fakes import PartitionedLog, Remembering
from tests.projections.following import running, until

pytestmark = pytest.mark.anyio


class Keen(Remembering):
    """Nobody notices what it does twice; by chance it fails."""

    may_repeat_unnoticed = True

    def __init__(self, luck: random.Random | None = None) -> None:
        super().__init__()
        self._luck = luck

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        if self._luck and self._luck.random() < 0.2:
            self.failures = 1
        await super().handle(events, lease)


@pytest.fixture
def log() -> PartitionedLog:
    return PartitionedLog("log")


def follower_of(handler: Remembering, log: PartitionedLog, positions: MemoryCheckpoints) -> Follower:
    now = SettableClock().now
    return Follower(handler, log, positions, now=now, poll_seconds=60, batch_size=50, in_turns=True)


def runs_of(portion: Portion | None) -> list[str]:
    assert portion is not None
    return [each.event.run_id for each in portion.events if isinstance(each.event, JobFired)]


async def test_who_comes_behind_thousands_of_another_is_handled_with_the_next_portion(
    log: PartitionedLog,
) -> None:
    log.append("log", *(f"a{number}" for number in range(3_000)), tenant="a")
    log.append("log", "b0", tenant="b")
    handler, positions = Keen(), MemoryCheckpoints()
    follower = follower_of(handler, log, positions)
    with anyio.fail_after(5):
        while "b0" not in handler.runs:
            await follower._take_turn("log", LEASE)
    waited = len(handler.runs)
    log.append("log", "c0", tenant="c")
    await follower._take_turn("log", LEASE)
    assert "c0" in handler.runs, "it comes while another is far behind, and waits for nobody"
    assert waited <= 7 * PORTION, "the log is read on while portions are handled"
    assert all(len(batch) <= PORTION for batch in handler.batches)
    await follower.catch_up(LEASE)
    assert [run for run in handler.runs if run[0] == "a"] == [f"a{number}" for number in range(3_000)]
    assert Counter(handler.runs).most_common(1)[0][1] == 1, "nothing twice"
    assert follower.positions["log"] == f"log/{log.events['log'][-1].event_id}"


async def test_of_many_tenants_each_has_its_turn_before_one_has_another(log: PartitionedLog) -> None:
    tenants = [f"t{number}" for number in range(PORTION + 10)]
    for tenant in tenants:
        log.append("log", f"{tenant}-1", f"{tenant}-2", tenant=tenant)
    handler = Keen()
    await follower_of(handler, log, MemoryCheckpoints()).catch_up(LEASE)
    assert handler.runs[: len(tenants)] == [f"{tenant}-1" for tenant in tenants]
    assert sorted(handler.runs[len(tenants) :]) == sorted(f"{tenant}-2" for tenant in tenants)


async def test_the_position_stays_before_what_is_not_handled_and_a_crash_repeats_what_was_behind(
    log: PartitionedLog,
) -> None:
    log.append("log", *(f"a{number}" for number in range(300)), tenant="a")
    log.append("log", "b0", tenant="b")
    handler, positions = Keen(), MemoryCheckpoints()
    follower = follower_of(handler, log, positions)
    await follower._take_turn("log", LEASE)
    await follower.save_positions(LEASE)
    assert "b0" in handler.runs
    assert await positions.load("remembering", "log", LEASE) == f"log/{log.events['log'][49].event_id}"
    after_a_crash = Keen()
    await follower_of(after_a_crash, log, positions).catch_up(LEASE)
    assert after_a_crash.runs.count("b0") == 1
    assert {*handler.runs, *after_a_crash.runs} == {*(f"a{number}" for number in range(300)), "b0"}


async def test_what_failed_comes_again_as_it_was(log: PartitionedLog) -> None:
    log.append("log", *(f"a{number}" for number in range(200)), tenant="a")
    handler = Keen()
    handler.failures = 2
    follower = follower_of(handler, log, MemoryCheckpoints())
    async with running(follower):
        await until(lambda: len(handler.runs) == 200)
    assert handler.tried[0] == handler.tried[1] == handler.tried[2] == handler.batches[0]


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_happens_all_is_handled_in_each_tenants_order_and_no_position_is_before_its_time(
    log: PartitionedLog, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Failures, and deaths between any two portions; with such bounds every one of them is met."""
    for name, bound in (("PORTION", 4), ("LONG_LANE", 6), ("MOST_APART", 2), ("MOST_AHEAD", 20)):
        monkeypatch.setattr(turns, name, bound)
    monkeypatch.setattr(turns, "_BATCHES_AT_ONCE", 2)
    luck = random.Random(seed)
    handled: list[str] = []
    everything: list[tuple[str, str]] = []

    class Watched(MemoryCheckpoints):
        async def save_all(self, follower: str, positions: object, lease: Lease) -> None:
            assert isinstance(positions, dict)
            done = log._index("log", positions["log"])
            assert {run for _, run in everything[:done] if run} <= {*handled, *handler.runs}
            await super().save_all(follower, positions, lease)

    positions = Watched()
    for life in range(5):
        handler, so_far = Keen(luck), len(everything)
        follower = follower_of(handler, log, positions)
        follower._batch_size = luck.choice([3, 7, 50])
        for _ in range(luck.randrange(5, 60)):
            for number in range(luck.choice([0, 0, 1, 10, 40])):
                tenant, is_wanted = luck.choice("aaaaaaabbbcd"), luck.random() < 0.7
                run = f"{tenant}{so_far + number:06}-{life}-{len(everything)}"
                log.append("log", run, tenant=tenant, unwanted=not is_wanted)
                everything.append((tenant, run if is_wanted else ""))
            try:
                await follower._take_turn("log", LEASE)
            except ValueError:
                continue
            await follower.save_positions(LEASE)
        in_this_life = handler.runs
        assert len(set(in_this_life)) == len(in_this_life), "none twice in a life"
        for tenant in "abcd":
            wanted = [run for each, run in everything if each == tenant and run in set(in_this_life)]
            assert wanted == [run for run in in_this_life if run[0] == tenant]
        handled += in_this_life
    last = Keen()
    await follower_of(last, log, positions).catch_up(LEASE)
    assert {run for _, run in everything if run} == {*handled, *last.runs}


async def test_what_is_ahead_in_memory_has_its_bounds(log: PartitionedLog) -> None:
    log.append("log", *(f"a{number}" for number in range(20_000)), tenant="a")
    for tenant in range(2 * MOST_APART):
        log.append("log", *(f"{tenant}-{number}" for number in range(1_000)), tenant=f"t{tenant}")
    reading, position, most_apart = InTurns(log, Interest(JobFired)), None, 0
    for _ in range(200):
        portion = await reading.read("log", position, 500)
        assert portion is not None
        position = portion.position
        reading.settle("log", None)
        lanes = vars(reading._ahead["log"])["_lanes"].values()
        most_apart = max(most_apart, sum(lane.apart is not None for lane in lanes))
        assert sum(len(lane.open) for lane in lanes) < MOST_AHEAD + MOST_APART * 2 * LONG_LANE
    assert most_apart == MOST_APART


async def test_the_position_moves_up_to_what_is_not_handled(log: PartitionedLog) -> None:
    log.append("log", *(f"a{number}" for number in range(2 * PORTION)), tenant="a")
    reading = InTurns(log, Interest(JobFired))
    first = await reading.read("log", None, PORTION // 2)
    assert first is not None
    assert first.position == f"log/{log.events['log'][PORTION - 1].event_id}"
    reading.settle("log", None)
    last = await reading.read("log", first.position, PORTION // 2)
    assert last is not None
    assert last.position == f"log/{log.events['log'][-1].event_id}"


async def test_who_reads_on_by_itself_goes_on_though_that_yields_nothing(log: PartitionedLog) -> None:
    log.append("log", *(f"a{number}" for number in range(2 * LONG_LANE)), tenant="a")
    log.append("log", *(f"z{number}" for number in range(500)), tenant="z", unwanted=True)
    log.append("log", "last", tenant="a")
    reading, position, found = InTurns(log, Interest(JobFired)), None, list[str]()
    while (portion := await reading.read("log", position, 50)) is not None:
        found += runs_of(portion)
        position = portion.position
        reading.settle("log", None)
        if len(found) > LONG_LANE:
            log.room = 1
    assert found == [*(f"a{number}" for number in range(2 * LONG_LANE)), "last"]


async def test_what_a_log_does_not_tell_for_a_moment_is_not_passed_by(
    log: PartitionedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that lags answers that there is nothing behind where there was something before."""
    log.append("log", *(f"a{number}" for number in range(2_000)), tenant="a")
    handler = Keen()
    follower = follower_of(handler, log, MemoryCheckpoints())
    for _ in range(6):
        await follower._take_turn("log", LEASE)
    with monkeypatch.context() as lagging:

        async def nothing(partition: str, after: str | None, limit: int) -> None:
            return None

        lagging.setattr(log, "read", nothing)
        with anyio.fail_after(5):
            while (await follower._take_turn("log", LEASE)).is_handled:
                pass
    assert 0 < len(handler.runs) < 2_000
    await follower.catch_up(LEASE)
    assert handler.runs == [f"a{number}" for number in range(2_000)]


async def test_after_an_erasure_what_was_ahead_is_read_again(log: PartitionedLog) -> None:
    log.append("log", *(f"a{number}" for number in range(200)), tenant="a")
    reading = InTurns(log, Interest(JobFired))
    first = runs_of(await reading.read("log", None, 500))
    log.reads.clear()
    assert runs_of(await reading.read("log", None, 500)) == first
    assert ("log", None) not in log.reads
    log.epoch += 1
    assert runs_of(await reading.read("log", None, 500)) == first
    assert ("log", None) in log.reads


async def test_whoever_begins_anew_has_handled_nothing_behind_the_position(log: PartitionedLog) -> None:
    """Under another lease, or where the position that was to be saved was not."""
    log.append("log", "b0", *(f"a{number}" for number in range(2 * PORTION)), tenant="a")
    log.append("log", "c0", tenant="c")
    for anew in (InTurns.forget, lambda reading: None):
        reading = InTurns(log, Interest(JobFired))
        assert "c0" in runs_of(await reading.read("log", None, 50))
        reading.settle("log", None)
        position = f"log/{log.events['log'][0].event_id}"
        anew(reading)
        again = runs_of(await reading.read("log", position, 50))
        assert again[0] == "a0"
        assert "c0" in again
    reading = InTurns(log, Interest(JobFired))
    first = runs_of(await reading.read("log", None, 500))
    reading.settle("log", None)
    reading.forget()
    assert runs_of(await reading.read("log", None, 500)) == first
