"""A follower is woken by what it wants, at once, and by nothing else."""

import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from application.event_store import EventStore
from domain import job
from domain.job import JobFired
from infrastructure.memory.checkpoints import MemoryCheckpoints
from projections.follower import Follower
from tests.application.logs import open_logs, sqlite_settings
from tests.builders import LEASE, NOW, TENANT, SettableClock, metadata
from tests.projections.fakes import PartitionedLog, Remembering
from tests.projections.following import Setting, running, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield logs.store()


async def test_an_append_wakes_it_at_once_and_not_at_the_next_poll(at: Setting, log: PartitionedLog) -> None:
    async with running(at.follower):
        await until(lambda: at.follower.status.state == "running")
        await anyio.wait_all_tasks_blocked()
        began = time.monotonic()
        log.append("two", "a")
        await until(lambda: at.handler.runs == ["a"])
        assert time.monotonic() - began < 2


async def test_what_it_does_not_want_does_not_keep_it_busy(
    log: PartitionedLog, positions: MemoryCheckpoints, clock: SettableClock
) -> None:
    handler = Remembering()
    follower = Follower(handler, log, positions, now=clock.now, poll_seconds=60)
    async with running(follower):
        await until(lambda: follower.status.state == "running")
        log.append("one", "a")
        for run in range(300):
            log.append("one", str(run), unwanted=True)
            await anyio.sleep(0.001)
        assert handler.runs == ["a"]
        assert len(log.reads) < 10
        log.append("one", "z")
        await until(lambda: handler.runs == ["a", "z"])


async def test_at_a_stop_it_comes_past_what_nobody_wants(
    log: PartitionedLog, positions: MemoryCheckpoints, clock: SettableClock
) -> None:
    follower = Follower(Remembering(), log, positions, now=clock.now, poll_seconds=60)
    async with running(follower):
        await until(lambda: follower.status.state == "running")
        log.append("one", "a", unwanted=True)
        log.append("two", "b", unwanted=True)
        log.append("two", "c")
    assert await positions.load("remembering", "one", LEASE) == f"one/{log.events['one'][0].event_id}"
    assert await positions.load("remembering", "two", LEASE) is None


async def test_an_append_while_it_handles_is_not_overlooked(at: Setting, log: PartitionedLog) -> None:
    at.handler.gate = anyio.Event()
    async with running(at.follower):
        log.append("two", "a")
        await at.handler.entered.wait()
        log.append("one", "b")
        at.handler.gate.set()
        await until(lambda: at.handler.runs == ["a", "b"])


async def test_what_comes_while_it_rests_is_handled_together(
    log: PartitionedLog, positions: MemoryCheckpoints, clock: SettableClock
) -> None:
    handler = Remembering()
    follower = Follower(handler, log, positions, now=clock.now, poll_seconds=60, rest_seconds=0.5)
    async with running(follower):
        log.append("one", "a")
        await until(lambda: handler.runs == ["a"])
        for run in ("b", "c", "d"):
            log.append("one", run)
            await anyio.sleep(0.02)
        await until(lambda: len(handler.runs) == 4)
    assert handler.batches == [["a"], ["b", "c", "d"]]


async def test_without_a_wake_up_it_looks_by_the_clock(
    log: PartitionedLog, positions: MemoryCheckpoints, clock: SettableClock
) -> None:
    at = Setting(log, positions, clock, poll=0.02)
    async with running(at.follower):
        await until(lambda: at.follower.status.state == "running")
        log._wakeups.clear()
        log.append("one", "a")
        await until(lambda: at.handler.runs == ["a"])


async def test_on_a_real_log_an_event_is_handled_well_before_the_poll(
    store: EventStore, positions: MemoryCheckpoints, clock: SettableClock
) -> None:
    handler = Remembering()
    follower = Follower(handler, store, positions, now=clock.now, poll_seconds=60)
    latencies = []
    async with running(follower):
        for number in range(20):
            fired = JobFired(job="j", run_id=str(number), triggered_by="manual", fired_at=NOW, metadata={})
            await store.execute(
                f"{TENANT}/job/one",
                evolve=job.evolve,
                decide=lambda state, fired=fired: [fired],  # type: ignore[misc]
                meta=metadata(),
                now=NOW,
            )
            began = time.monotonic()
            await until(lambda number=number: len(handler.runs) == number + 1)  # type: ignore[misc]
            latencies.append(time.monotonic() - began)
    assert handler.runs == [str(number) for number in range(20)]
    assert sorted(latencies)[10] < 0.5
