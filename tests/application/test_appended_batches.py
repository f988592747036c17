"""What a process appends itself is followed without being read, wherever nothing can lie between."""

from collections.abc import Iterator

import anyio
import msgspec
import pytest

from application.deciders import Committed, Decider
from application.event_store import EventStore
from application.log_batches import LogBatch
from application.shared_reads import SharedReads
from domain import job
from domain.errors import StoreUnavailable
from domain.job import JobFired
from tests.application.logs import (
    STORES,
    CountingStore,
    OpenLogs,
    open_logs,
    settings_of,
)
from tests.application.test_shared_reads import runs_of
from tests.builders import NOW, TENANT, metadata

pytestmark = pytest.mark.anyio


@pytest.fixture(params=STORES)
def logs(request: pytest.FixtureRequest) -> Iterator[OpenLogs]:
    with open_logs(settings_of(request.param, request)) as logs:
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
    """A follower's log, of which the end is known to readers of two sizes."""
    shared = SharedReads(store)
    for limit in (10, 100):
        assert runs_of(await shared.read(partition, None, limit)) == ["first"]
    assert store.reads == 2
    store.reads = 0
    return shared


async def append(store: EventStore, *runs: str, job_name: str = "one") -> Committed:
    return await store.execute(
        f"{TENANT}/job/{job_name}",
        evolve=job.evolve,
        decide=lambda state: [
            JobFired(
                job="j",
                run_id=run,
                triggered_by="manual",
                fired_at=NOW,
                metadata={"of": job_name},
                deadline_seconds=600,
            )
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
    """To the letter: 600 seconds are ``600.0`` once they were stored."""
    head = await store.head(partition)
    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(append, store, f"{number}-a", f"{number}-b")
            group.start_soon(lambda name: append(store, "c", job_name=name), f"other-{number}")
    found = await shared.read(partition, head, 100)
    assert store.reads == 0
    assert found is not None
    assert len(found.events) == found.passed == 15
    assert "deadline_seconds=600.0" in repr(found)
    assert repr(found) == repr(await as_read(store, partition, head))
    assert await shared.read(partition, found.position, 100) is None


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
    assert store.reads == 0


async def test_another_process_has_appended_between(
    store: CountingStore, shared: SharedReads, partition: str, logs: OpenLogs
) -> None:
    head = await store.head(partition)
    await append(logs.store(), "theirs", job_name="two")
    await append(store, "ours")
    assert runs_of(await shared.read(partition, head, 10)) == ["theirs", "ours"]
    assert store.reads == 1
    await append(store, "next")
    assert runs_of(await shared.read(partition, head, 10)) == ["theirs", "ours", "next"]
    assert store.reads == 1


async def test_more_than_a_reader_takes_at_once_is_read(
    store: CountingStore, shared: SharedReads, partition: str
) -> None:
    head = await store.head(partition)
    await append(store, *map(str, range(11)))
    assert runs_of(await shared.read(partition, head, 10)) == [str(number) for number in range(10)]
    assert store.reads == 1


async def test_what_was_decided_before_an_erasure_is_not_kept_after_it(
    store: CountingStore, shared: SharedReads, partition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold what nobody is to read any more."""
    head = await store.head(partition)
    monkeypatch.setattr(type(store), "epoch", property(lambda self: 1))
    await append(store, "unnoticed")
    assert runs_of(await shared.read(partition, head, 10)) == ["unnoticed"]
    await append(store, "decided before")
    assert runs_of(await shared.read(partition, head, 10)) == ["unnoticed", "decided before"]
    assert store.reads == 2


class Answers:
    """Commits whose answers a process gets when it is told to, as its threads may happen to give them."""

    def __init__(self, store: EventStore, threads: EventStore) -> None:
        self._store = store
        self._threads = threads

    async def commit(self, run: str) -> Committed:
        """Something is stored, and nobody knows."""
        return await append(self._threads, run, job_name=run)

    def give(self, *answers: Committed | Exception) -> None:
        """The answers to some commands that were carried out together."""
        stream = f"{TENANT}/job/any"
        commands = [Decider(stream, job.evolve, lambda state: (), metadata(), NOW, None) for _ in answers]
        self._store._note_answers(commands, answers)


@pytest.fixture
def answers(store: CountingStore, logs: OpenLogs) -> Answers:
    return Answers(store, logs.store())


async def test_a_later_commit_is_answered_first(
    store: CountingStore, shared: SharedReads, partition: str, answers: Answers
) -> None:
    head = await store.head(partition)
    first, second = await answers.commit("a"), await answers.commit("b")
    answers.give(second)
    answers.give(first)
    assert runs_of(await shared.read(partition, head, 10)) == ["a", "b"]


@pytest.mark.parametrize("knows_which", [True, False])
async def test_another_process_is_heard_of_before_ones_own_answer(
    store: CountingStore, shared: SharedReads, partition: str, answers: Answers, knows_which: bool
) -> None:
    head = await store.head(partition)
    ours, theirs = await answers.commit("ours"), await answers.commit("theirs")
    store.notice(theirs.ids[-1] if knows_which else None, partition)
    answers.give(ours)
    assert runs_of(await shared.read(partition, head, 10)) == ["ours", "theirs"]


async def test_what_was_stored_without_an_answer_beside_what_was_answered_is_found(
    store: CountingStore, shared: SharedReads, partition: str, answers: Answers
) -> None:
    head = await store.head(partition)
    ours, _lost = await answers.commit("ours"), await answers.commit("lost")
    answers.give(ours, StoreUnavailable("the connection broke"))
    assert runs_of(await shared.read(partition, head, 10)) == ["ours", "lost"]


async def test_what_cannot_be_read_back_is_left_to_a_reading(
    store: CountingStore, shared: SharedReads, partition: str, answers: Answers
) -> None:
    head = await store.head(partition)
    answers.give(msgspec.structs.replace(await answers.commit("a"), stored=()))
    assert runs_of(await shared.read(partition, head, 10)) == ["a"]
    assert store.reads == 1


def readings_held_up(monkeypatch: pytest.MonkeyPatch) -> anyio.Event:
    """What is read comes when this is set."""
    goes_on, read = anyio.Event(), EventStore.read

    async def held_up(self: EventStore, partition: str, after: str | None, limit: int) -> LogBatch | None:
        batch = await read(self, partition, after, limit)
        await goes_on.wait()
        return batch

    monkeypatch.setattr(EventStore, "read", held_up)
    return goes_on


async def test_what_is_appended_during_a_reading_is_known_after_it(
    store: CountingStore, shared: SharedReads, partition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = await store.head(partition)
    goes_on = readings_held_up(monkeypatch)
    store.silent_seconds = 0.0
    async with anyio.create_task_group() as group:
        group.start_soon(shared.read, partition, head, 10)
        await anyio.wait_all_tasks_blocked()
        await append(store, "meanwhile")
        goes_on.set()
    store.silent_seconds = 60.0
    assert store.reads == 1
    batch = await shared.read(partition, head, 10)
    assert runs_of(batch) == ["meanwhile"]
    assert batch is not None
    assert await shared.read(partition, batch.position, 10) is None
    assert store.reads == 1


async def test_what_was_read_before_its_answer_came_is_no_news_then(
    store: CountingStore, shared: SharedReads, partition: str, answers: Answers
) -> None:
    head = await store.head(partition)
    store.silent_seconds = 0.0
    ours = await answers.commit("ours")
    batch = await shared.read(partition, head, 10)
    assert runs_of(batch) == ["ours"]
    answers.give(ours)
    store.silent_seconds = 60.0
    assert batch is not None
    assert await shared.read(partition, batch.position, 10) is None
    assert runs_of(await shared.read(partition, head, 10)) == ["ours"]
    await append(store, "next")
    assert runs_of(await shared.read(partition, head, 10)) == ["ours", "next"]
    assert store.reads == 1


async def test_a_reading_that_found_more_is_believed_by_readers_of_any_size(
    store: CountingStore, shared: SharedReads, partition: str, logs: OpenLogs
) -> None:
    """It is another process's, and there was no word of it yet."""
    head = await store.head(partition)
    await append(logs.store(), "theirs")
    store.silent_seconds = 0.0
    assert runs_of(await shared.read(partition, head, 10)) == ["theirs"]
    store.silent_seconds = 60.0
    assert runs_of(await shared.read(partition, head, 100)) == ["theirs"]


@pytest.mark.parametrize("is_noticed", [True, False])
async def test_a_reading_that_found_more_than_was_appended_meanwhile(
    store: CountingStore,
    shared: SharedReads,
    partition: str,
    answers: Answers,
    monkeypatch: pytest.MonkeyPatch,
    is_noticed: bool,
) -> None:
    head = await store.head(partition)
    ours, theirs = await answers.commit("ours"), await answers.commit("theirs")
    goes_on = readings_held_up(monkeypatch)
    store.silent_seconds = 0.0
    async with anyio.create_task_group() as group:
        group.start_soon(shared.read, partition, head, 10)
        await anyio.wait_all_tasks_blocked()
        answers.give(ours)
        if is_noticed:
            store.notice(theirs.ids[-1], partition)
        goes_on.set()
    store.silent_seconds = 60.0
    for limit in (100, 10):
        assert runs_of(await shared.read(partition, head, limit)) == ["ours", "theirs"]
