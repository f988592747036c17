"""What a process appends itself is followed without being read, wherever nothing can lie between."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from application.deciders import Committed
from application.event_store import EventStore, LogBatch
from application.shared_reads import SharedReads
from domain import job
from domain.job import JobFired
from tests.application.logs import (
    UNVERIFIED,
    CountingStore,
    OpenLogs,
    open_logs,
    postgres_settings,
    settings_of,
)
from tests.application.test_shared_reads import runs_of
from tests.builders import NOW, TENANT, metadata

pytestmark = pytest.mark.anyio

STORES = [
    "sqlite",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("cosmos", marks=[pytest.mark.cosmos, UNVERIFIED]),
]


@pytest.fixture(params=STORES)
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenLogs]:
    if request.param == "postgres":
        settings = postgres_settings(request.getfixturevalue("postgres_store_url"))
    else:
        settings = settings_of(request.param, request)
    with open_logs(settings) as logs:
        yield logs


@pytest.fixture
def store(logs: OpenLogs) -> Iterator[CountingStore]:
    """One whose readings say for a minute how things stand."""
    store = CountingStore(logs.open())
    store.silent_seconds = 60.0
    yield store
    store.close()


@pytest.fixture
async def partition(store: CountingStore) -> str:
    """The one of the tests' tenant, in which something is."""
    await append(store, "first")
    return store.partition_of(TENANT)


@pytest.fixture
async def shared(store: CountingStore, partition: str) -> SharedReads:
    """A follower's log, of which the end is known."""
    shared = SharedReads(store)
    assert runs_of(await shared.read(partition, None, 10)) == ["first"]
    assert store.reads == 1
    return shared


async def append(store: EventStore, *runs: str, job_name: str = "one") -> Committed:
    return await store.execute(
        f"{TENANT}/job/{job_name}",
        evolve=job.evolve,
        decide=lambda state: [
            JobFired(job="j", run_id=run, triggered_by="manual", fired_at=NOW, metadata={"of": job_name})
            for run in runs
        ],
        meta=metadata(),
        now=NOW,
    )


async def as_read(store: CountingStore, partition: str, after: str | None) -> LogBatch | None:
    """What the store itself says, not counted."""
    return await EventStore.read(store, partition, after, 500)


async def test_it_is_what_the_store_would_say(
    store: CountingStore, shared: SharedReads, partition: str
) -> None:
    head = await store.head(partition)
    assert await shared.read(partition, head, 10) is None
    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(append, store, f"{number}-a", f"{number}-b")
            group.start_soon(lambda name: append(store, "c", job_name=name), f"other-{number}")
    found = await shared.read(partition, head, 100)
    assert found == await as_read(store, partition, head)
    assert found is not None
    assert len(found.events) == found.passed == 15
    assert await shared.read(partition, found.position, 10) is None


async def test_nobody_reads_it(store: CountingStore, shared: SharedReads, partition: str) -> None:
    position = await store.head(partition)
    for run in "abc":
        await append(store, run)
        batch = await shared.read(partition, position, 10)
        assert runs_of(batch) == [run]
        assert batch is not None
        position = batch.position
        assert await shared.read(partition, position, 10) is None
    assert runs_of(await shared.read(partition, None, 10)) == ["first", "a", "b", "c"]
    assert store.reads == 1


async def test_another_process_has_appended_between(
    store: CountingStore, shared: SharedReads, partition: str, logs: OpenLogs
) -> None:
    head = await store.head(partition)
    await append(logs.store(), "theirs", job_name="two")
    await append(store, "ours")
    assert runs_of(await shared.read(partition, head, 10)) == ["theirs", "ours"]
    assert store.reads == 2
    await append(store, "next")
    assert runs_of(await shared.read(partition, head, 10)) == ["theirs", "ours", "next"]
    assert store.reads == 2


async def test_more_than_a_reader_takes_at_once_is_read(
    store: CountingStore, shared: SharedReads, partition: str
) -> None:
    head = await store.head(partition)
    await append(store, *map(str, range(11)))
    assert runs_of(await shared.read(partition, head, 10)) == [str(number) for number in range(10)]
    assert store.reads == 2


async def test_what_was_decided_before_an_erasure_is_not_kept_after_it(
    store: CountingStore, shared: SharedReads, partition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold what nobody is to read any more."""
    head = await store.head(partition)
    monkeypatch.setattr(type(store), "erasures", property(lambda self: 1))
    await append(store, "unnoticed")
    assert runs_of(await shared.read(partition, head, 10)) == ["unnoticed"]
    await append(store, "decided before")
    assert runs_of(await shared.read(partition, head, 10)) == ["unnoticed", "decided before"]
    assert store.reads == 3
