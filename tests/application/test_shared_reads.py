"""Several followers of a process read the log once, and none of them reads anything else."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import anyio
import pytest

from application import shared_reads
from application.event_log import Compared
from application.event_store import EventStore
from application.log_batches import LogBatch
from application.shared_reads import SharedReads
from domain import job
from domain.job import JobFired
from tests.application.logs import CountingStore, OpenLogs, open_logs, sqlite_settings
from tests.builders import NOW, TENANT, metadata

pytestmark = pytest.mark.anyio


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[OpenLogs]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield logs


@pytest.fixture
def store(logs: OpenLogs) -> CountingStore:
    return CountingStore(logs.open())


async def append(store: EventStore, *runs: str) -> None:
    await store.execute(
        f"{TENANT}/job/one",
        evolve=job.evolve,
        decide=lambda state: [
            JobFired(job="j", run_id=run, triggered_by="manual", fired_at=NOW, metadata={}) for run in runs
        ],
        meta=metadata(),
        now=NOW,
    )


def runs_of(batch: LogBatch | None) -> list[str]:
    events = batch.events if batch else ()
    return [each.event.run_id for each in events if isinstance(each.event, JobFired)]


async def test_readers_at_one_position_share_one_reading(store: CountingStore) -> None:
    await append(store, "a", "b")
    shared = SharedReads(store)
    batches: list[LogBatch | None] = []

    async def read() -> None:
        batches.append(await shared.read("log", None, 10))

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(read)
    assert [runs_of(batch) for batch in batches] == [["a", "b"]] * 6
    assert store.reads == 1


async def test_readers_at_other_positions_or_of_other_sizes_get_their_own(store: CountingStore) -> None:
    await append(store, "a", "b", "c")
    shared = SharedReads(store)
    first = await shared.read("log", None, 1)
    assert first is not None
    assert runs_of(await shared.read("log", first.position, 10)) == ["b", "c"]
    assert runs_of(await shared.read("log", None, 2)) == ["a", "b"]
    assert runs_of(await shared.read("log", None, 1)) == ["a"]


async def append_elsewhere(store: EventStore, logs: OpenLogs, *runs: str) -> None:
    """By another process, which is heard of."""
    await append(logs.store(), *runs)
    store.notice(None)


async def test_who_comes_later_gets_what_others_have_read_and_what_is_new_in_one(
    store: CountingStore, logs: OpenLogs
) -> None:
    store.silent_seconds = 60.0
    shared, position = SharedReads(store), None
    for run in "abc":
        await append_elsewhere(store, logs, run)
        batch = await shared.read("log", position, 10)
        assert runs_of(batch) == [run]
        position = batch.position if batch else None
    late = await shared.read("log", None, 10)
    assert runs_of(late) == ["a", "b", "c"]
    assert late is not None
    assert (late.position, late.passed) == (position, 3)
    assert store.reads == 3
    await append_elsewhere(store, logs, "d")
    assert runs_of(await shared.read("log", None, 10)) == ["a", "b", "c", "d"]
    assert runs_of(await shared.read("log", position, 10)) == ["d"]
    assert store.reads == 4


async def test_what_is_known_is_joined_up_to_the_limit_and_the_rest_of_a_batch(
    store: CountingStore, logs: OpenLogs
) -> None:
    shared, position = SharedReads(store), None
    for runs in ("a", "b", "cde", "f"):
        await append_elsewhere(store, logs, *runs)
        batch = await shared.read("log", position, 3)
        position = batch.position if batch else None
    assert runs_of(await shared.read("log", None, 3)) == ["a", "b", "c", "d", "e"]
    assert store.reads == 4


async def test_the_end_of_the_log_is_asked_for_once_by_many(store: CountingStore) -> None:
    store.silent_seconds = 60.0
    shared = SharedReads(store)
    for _ in range(5):
        assert await shared.read("log", None, 10) is None
    assert store.reads == 1


async def test_an_end_before_what_was_told_of_is_soon_looked_up_again_by_all_at_once(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log may have lost it, and then that goes on."""
    store.silent_seconds = 60.0
    monkeypatch.setattr(shared_reads, "_BEHIND_SECONDS", 0.5)
    shared = SharedReads(store)
    store.notice(1)
    for times in (1, 2):
        for _ in range(5):
            assert await shared.read("log", None, 10) is None
        assert store.reads == times
        await anyio.sleep(0.6)


async def test_an_append_of_this_process_is_seen_at_once(store: CountingStore) -> None:
    shared = SharedReads(store)
    assert await shared.read("log", None, 10) is None
    await append(store, "a")
    assert runs_of(await shared.read("log", None, 10)) == ["a"]


async def test_an_append_of_another_process_is_seen_shortly(store: CountingStore, logs: OpenLogs) -> None:
    shared = SharedReads(store)
    assert await shared.read("log", None, 10) is None
    await append(logs.store(), "a")
    with anyio.fail_after(5):
        while not (batch := await shared.read("log", None, 10)):
            await anyio.sleep(0.01)
    assert runs_of(batch) == ["a"]


async def test_it_follows_the_whole_log_however_long(store: CountingStore) -> None:
    await append(store, *map(str, range(60)))
    shared, after, read = SharedReads(store), None, []
    while batch := await shared.read("log", after, 2):
        read += runs_of(batch)
        after = batch.position
    assert read == list(map(str, range(60)))
    assert await shared.count_after("log", after) == 0


async def test_so_many_events_are_kept_in_however_many_batches(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reads, "_KEPT_EVENTS", 4)
    await append(store, *"abcdef")
    shared = SharedReads(store)
    after: list[str | None] = [None] * 7
    for number in range(6):
        batch = await shared.read("log", after[number], 1)
        assert batch is not None
        after[number + 1] = batch.position
    assert store.reads == 6
    for number in range(2, 6):
        await shared.read("log", after[number], 1)
    assert store.reads == 6
    await shared.read("log", after[1], 1)
    assert store.reads == 7
    assert len(runs_of(await shared.read("log", None, 6))) == 6, "one that is larger is kept alone"
    await shared.read("log", None, 6)
    assert store.reads == 8


async def test_a_position_is_looked_up_once_for_those_who_begin_together(
    store: CountingStore, logs: OpenLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    compare = EventStore.compare

    async def counted(store: EventStore, positions: Mapping[str, str]) -> Compared:
        nonlocal looks
        looks += 1
        return await compare(store, positions)

    monkeypatch.setattr(EventStore, "compare", counted)
    await append(store, "a")
    shared, head = SharedReads(store), await store.head("log")
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(shared.compare, {"log": head})
    assert not (await shared.compare({"log": head})).unknown
    assert looks == 1
    for _ in range(2):
        compared = await shared.compare({"log": "log-2-000000000000"})
        assert compared.unknown == ["log"], "it may be appended yet"
    assert looks == 3
    monkeypatch.setattr(shared_reads, "_KNOWN_SECONDS", 0.0)
    assert not (await shared.compare({"log": head})).unknown
    assert looks == 4


async def test_nothing_is_known_any_more_of_a_log_that_is_another(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(store, "a")
    shared, head = SharedReads(store), await store.head("log")
    assert runs_of(await shared.read("log", None, 10)) == ["a"]
    assert not (await shared.compare({"log": head})).unknown

    async def empty(*_: object) -> None:
        return None

    async def knows_none(positions: Mapping[str, str]) -> Compared:
        return Compared(list(positions))

    monkeypatch.setattr(store, "read", empty)
    monkeypatch.setattr(store, "compare", knows_none)
    assert runs_of(await shared.read("log", None, 10)) == ["a"]
    monkeypatch.setattr(type(store), "epoch", property(lambda self: 1))
    assert (await shared.compare({"log": head})).unknown == ["log"]
    assert await shared.read("log", None, 10) is None


async def test_who_reads_one_partition_does_not_wait_for_who_reads_another(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = anyio.Event()
    at_it: list[str] = []

    async def read(partition: str, after: str | None, limit: int) -> LogBatch | None:
        at_it.append(partition)
        if len(at_it) == 2:
            together.set()
        await together.wait()
        return None

    monkeypatch.setattr(store, "read", read)
    shared = SharedReads(store)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for partition in ("a", "b", "a"):
                group.start_soon(shared.read, partition, None, 10)
    assert sorted(at_it) == ["a", "b"]


async def test_what_was_read_before_an_erasure_was_noticed_is_not_kept(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another reading notices it meanwhile, and forgets what was kept."""
    await append(store, "a")
    erasures, read, noticed, asked = 0, store.read, anyio.Event(), list[str | None]()
    monkeypatch.setattr(type(store), "epoch", property(lambda self: erasures))

    async def held_up(partition: str, after: str | None, limit: int) -> LogBatch | None:
        if partition == "another":
            return None
        asked.append(after)
        batch = await read(partition, after, limit)
        await noticed.wait()
        return batch

    monkeypatch.setattr(store, "read", held_up)
    shared = SharedReads(store)
    async with anyio.create_task_group() as group:
        group.start_soon(shared.read, "log", None, 10)
        await anyio.wait_all_tasks_blocked()
        erasures += 1
        await shared.read("another", None, 10)
        noticed.set()
    assert runs_of(await shared.read("log", None, 10)) == ["a"]
    assert asked == [None, None]


def test_who_has_rested_looks_at_each_of_many_small_batches_once(store: CountingStore) -> None:
    def seconds(count: int) -> float:
        shared = SharedReads(store)
        for number in range(count):
            shared._keep(("log", str(number), count), LogBatch((), str(number + 1), passed=1))
        tried = []
        for _ in range(7):
            began = time.process_time()
            assert len(shared._known_after("log", "0", count)) == count
            tried.append(time.process_time() - began)
        return min(tried)

    assert seconds(8_000) < 30 * seconds(1_000), "eight times as many cost some eight times as much"
