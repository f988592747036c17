"""Who watches a stream is woken when it goes on, and for nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from application import partition_backoff, watching
from application.event_store import EventStore
from application.shared_reads import SharedReads
from application.subscription import Subscription
from application.watching import Watches
from domain import job
from domain.errors import StoreUnavailable
from domain.job import JobFired
from tests.application.logs import ONE_PARTITION_AND_MANY, open_logs, settings_of
from tests.builders import NOW, metadata

pytestmark = pytest.mark.anyio


@pytest.fixture(params=ONE_PARTITION_AND_MANY)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[EventStore]:
    with open_logs(settings_of(request.param, request)) as logs:
        yield logs.store()


async def append(store: EventStore, stream: str) -> None:
    fired = JobFired(job=stream, run_id="r", triggered_by="manual", fired_at=NOW, metadata={})
    await store.execute(stream, evolve=job.evolve, decide=lambda state: (fired,), meta=metadata(), now=NOW)


@asynccontextmanager
async def running(store: EventStore) -> AsyncIterator[Watches]:
    watches = Watches(store, SharedReads(store), batch_size=10)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watches.run)
        yield watches
        tasks.cancel_scope.cancel()


async def is_woken(watch: Subscription, seconds: float) -> bool:
    began = anyio.current_time()
    await watch.wait(seconds)
    return anyio.current_time() - began < seconds


async def until_it_follows(watch: Subscription) -> None:
    """The first time everybody is woken: what came before the reading began, they are to look for."""
    assert await is_woken(watch, 5)


async def test_a_watcher_is_woken_by_its_own_stream_alone(store: EventStore) -> None:
    async with running(store) as watches:
        with watches.of("t/job/a") as a, watches.of("t/job/b") as b:
            await until_it_follows(a)
            await until_it_follows(b)
            await append(store, "t/job/a")
            assert await is_woken(a, 0.5)
            assert not await is_woken(b, 0.3)


async def test_streams_of_several_tenants_are_watched_at_once(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_LOOK_SECONDS", 60.0)
    await append(store, "t/job/a")
    async with running(store) as watches:
        with watches.of("t/job/a") as a:
            await until_it_follows(a)
            with watches.of("u/job/a") as other:
                if await store.partitions() == ("t",):
                    await until_it_follows(other)
                    assert not await is_woken(a, 0.3), "its partition was read already"
                await append(store, "u/job/a")
                assert await is_woken(other, 1)
                await append(store, "t/job/a")
                assert await is_woken(a, 1)


async def test_the_log_is_read_only_while_somebody_watches(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    read = SharedReads.read

    async def counted(*arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        return await read(*arguments)

    monkeypatch.setattr(SharedReads, "read", counted)
    async with running(store) as watches:
        with watches.of("t/job/a") as watch:
            await until_it_follows(watch)
            await append(store, "t/job/a")
            assert await is_woken(watch, 0.5)
        await append(store, "t/job/a")
        await anyio.sleep(0.1)
        before = looks
        for _ in range(5):
            await append(store, "t/job/a")
            await anyio.sleep(0.02)
        assert before > 0
        assert looks == before
        with watches.of("t/job/b") as watch:
            await until_it_follows(watch)


async def test_a_store_that_was_away_costs_no_word(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition_backoff, "_SHORTEST_REST_SECONDS", 0.05)
    monkeypatch.setattr(watching, "_LOOK_SECONDS", 0.05)
    read, failures = SharedReads.read, 2

    async def failing(*arguments: Any) -> Any:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise StoreUnavailable("away")
        return await read(*arguments)

    async with running(store) as watches:
        with watches.of("t/job/a") as watch:
            await until_it_follows(watch)
            monkeypatch.setattr(SharedReads, "read", failing)
            await append(store, "t/job/a")
            assert await is_woken(watch, 1)
            while failures > 0:
                await watch.wait(0.1)
            await watch.wait(0.2)
            await append(store, "t/job/a")
            assert await is_woken(watch, 1)
