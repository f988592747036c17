"""The jobs' numbers, out of real event logs: the same in every process, and after every start."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import anyio
import pytest

from application.event_store import EventStore
from application.job_health import JobHealth
from domain import job
from domain.errors import StoreUnavailable
from domain.event import Event
from domain.job import JobFired, JobRunCompleted, JobRunFailed, job_stream
from interfaces.scheduling import job_health
from interfaces.scheduling.job_health import JobHealthLoop
from tests.application.logs import OpenLogs, open_logs, postgres_settings, sqlite_settings
from tests.builders import NOW, after, metadata

pytestmark = pytest.mark.anyio

JOB, OTHER = "outcome-sync", "propagation"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenLogs]:
    """Stores on one database, each as a process of its own would open it."""
    settings = sqlite_settings(tmp_path)
    if request.param == "postgres":
        settings = postgres_settings(request.getfixturevalue("postgres_store_url"))
    with open_logs(settings) as opened:
        yield opened


def run(number: int, *, fails: bool = False) -> Sequence[Event]:
    id = f"run-{number}"
    fired = JobFired(job=JOB, run_id=id, triggered_by="scheduler", fired_at=NOW, metadata={}, nominal_at=NOW)
    if fails:
        return fired, JobRunFailed(job=JOB, run_id=id, error="no disk", failed_at=NOW)
    return fired, JobRunCompleted(job=JOB, run_id=id, completed_at=NOW)


async def append(store: EventStore, events: Sequence[Event], of: str = JOB) -> None:
    await store.execute(
        job_stream(of), evolve=job.evolve, decide=lambda state: events, meta=metadata(), now=NOW
    )


async def not_watched(job: str) -> datetime | None:
    return None


def loop_over(store: EventStore, *, batch_size: int = 500) -> JobHealthLoop:
    return JobHealthLoop(store, [JOB, OTHER], not_watched, batch_size=batch_size)


def health(loop: JobHealthLoop, of: str = JOB) -> JobHealth:
    return loop.standings[of].health


@asynccontextmanager
async def running(loop: JobHealthLoop) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loop.run)
        yield
        tasks.cancel_scope.cancel()


async def until_it_is(loop: JobHealthLoop, state: str) -> None:
    while loop.status.state != state:
        await anyio.sleep(0.01)


async def test_every_process_and_every_start_tells_the_same(logs: OpenLogs) -> None:
    writer, reader = logs.store(), logs.store()
    await append(writer, run(1))
    long_there = loop_over(reader)
    await long_there.look()
    for number in range(2, 9):
        await append(writer, run(number, fails=number % 2 == 0))
        await long_there.look()
    just_started = loop_over(writer)
    await just_started.look()
    assert health(long_there) == health(just_started)
    assert dict(health(just_started).runs) == {"completed": 4, "failed": 4}
    assert sum(health(just_started).lateness.counts) == 8


async def test_to_look_again_counts_nothing_twice(logs: OpenLogs) -> None:
    store = logs.store()
    await append(store, run(1))
    loop = loop_over(store)
    for _ in range(3):
        await loop.look()
    assert (dict(health(loop).runs), loop.status.handled) == ({"completed": 1}, 2)


@pytest.mark.parametrize("batch_size", [2, 3, 500])
async def test_a_long_past_is_read_in_parts(logs: OpenLogs, batch_size: int) -> None:
    store = logs.store()
    for number in range(6):
        await append(store, run(number))
    loop = loop_over(store, batch_size=batch_size)
    await loop.look()
    assert health(loop).runs["completed"] == 6


async def test_a_job_is_told_of_once_its_stream_is_read_to_the_end(logs: OpenLogs) -> None:
    store = logs.store()
    await append(store, run(1))

    async def watched(job: str) -> datetime | None:
        if job == OTHER:
            raise StoreUnavailable("away")
        return after(hours=1)

    loop = JobHealthLoop(store, [JOB, OTHER], watched, batch_size=500)
    assert loop.standings == {}
    with pytest.raises(StoreUnavailable):
        await loop.look()
    assert set(loop.standings) == {JOB}
    assert loop.standings[JOB].watched_until == after(hours=1)


async def test_an_append_is_seen_soon(logs: OpenLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_health, "_REST_SECONDS", 0.01)
    store = logs.store()
    loop = loop_over(store)
    async with running(loop):
        with anyio.fail_after(5):
            await until_it_is(loop, "running")
            assert not health(loop).runs
            await append(store, run(1))
            while health(loop).runs.get("completed") != 1:
                await anyio.sleep(0.01)
    assert loop.status.state == "stopped"


async def test_the_store_may_go_and_come_back(logs: OpenLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_health, "_REST_SECONDS", 0.01)
    monkeypatch.setattr(job_health, "_LOOK_SECONDS", 0.01)
    store, away = logs.store(), anyio.Event()
    await append(store, run(1))

    async def watched(job: str) -> datetime | None:
        if away.is_set():
            raise StoreUnavailable("away")
        return None

    loop = JobHealthLoop(store, [JOB], watched, batch_size=500)
    async with running(loop):
        with anyio.fail_after(10):
            while JOB not in loop.standings:
                await anyio.sleep(0.01)
            away.set()
            await until_it_is(loop, "failing")
            assert health(loop).runs["completed"] == 1
            away = anyio.Event()
            await until_it_is(loop, "running")
    assert loop.status.failures > 0
    assert loop.status.error is None


async def test_a_log_that_was_restored_is_read_anew(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("before", "restored")]
    for folder in folders:
        folder.mkdir()
    with open_logs(sqlite_settings(folders[0])) as before, open_logs(sqlite_settings(folders[1])) as restored:
        stores = before.store(), restored.store()
        for number in range(3):
            await append(stores[0], run(number))
        await append(stores[1], run(7, fails=True))
        loop = loop_over(stores[0])
        await loop.look()
        loop._store = stores[1]
        await loop.look()
        assert dict(health(loop).runs) == {"failed": 1}
