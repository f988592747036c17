"""Snapshots: a stream is the same with them as without, and what is wrong with one is never seen."""

import pickle
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import msgspec
import pytest
from eventsourcing.postgres import PostgresDatastore
from hypothesis import given, settings
from hypothesis import strategies as st

from application.event_log import EventLog
from application.pasts import Past, Pasts
from application.snapshots import EVERY, Snapshot, Snapshots, SnapshotStore
from config.privacy import open_personal
from domain import approval, backfill, concurrency, delegation, job, published_definition, task, workflow
from domain.event import Event, Recorded
from domain.job import JobFired, JobPaused, JobResumed, JobRunCompleted, JobRunFailed, JobRunPublished
from infrastructure.cosmos.snapshots import POLICY, CosmosSnapshots
from infrastructure.cosmos.threaded import ThreadedContainer
from infrastructure.postgres.snapshots import PostgresSnapshots
from infrastructure.sqlite.event_store import sqlite_log_settings
from infrastructure.sqlite.snapshots import SqliteSnapshots, snapshots_file
from tests.application.logs import UNVERIFIED, cosmos_settings, open_logs, postgres_settings, sqlite_settings
from tests.archives import signing_settings
from tests.builders import NOW, TENANT, after, metadata
from tests.cosmos import Account, fresh_database
from tests.samples import SAMPLES

pytestmark = pytest.mark.anyio

STREAM = f"{TENANT}/job/j"


class Place:
    """A log with a place for snapshots."""

    def __init__(self, log: EventLog, store: SnapshotStore) -> None:
        self.log = log
        self.store = store

    def append(self, events: Sequence[Event], *, stream: str = STREAM, after: int = 0) -> None:
        recorded = [
            Recorded(stream=stream, version=version, timestamp=NOW, meta=meta_of(version), event=event)
            for version, event in enumerate(events, start=after + 1)
        ]
        self.log.ours.append_together([[self.log.stored(each) for each in recorded]])

    def read(self, *, evolve: Callable[..., Any] = job.evolve, stream: str = STREAM, every: int = 5) -> Past:
        """By a process that remembers nothing, and finishes the snapshot that it makes."""
        snapshots = Snapshots(self.store, self.log, every=every)
        try:
            return self._read(stream, evolve, snapshots)
        finally:
            snapshots.close()

    def read_all(self, *, evolve: Callable[..., Any] = job.evolve, stream: str = STREAM) -> Past:
        """As if there were no snapshots."""
        return self._read(stream, evolve, None)

    def _read(self, stream: str, evolve: Callable[..., Any], snapshots: Snapshots | None) -> Past:
        past = Pasts(self.log, most=1, snapshots=snapshots).read({stream: evolve})[stream]
        assert isinstance(past, Past)
        return msgspec.structs.replace(past, events=None, size=0)


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Place]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        store = SqliteSnapshots(snapshots_file(tmp_path / "events.db"))
        yield Place(logs.open(), store)
        store.close()


@pytest.fixture
def on_cosmos(cosmos: Account) -> Iterator[Place]:
    database = fresh_database()
    with open_logs(cosmos_settings(cosmos, database)) as logs:
        log = logs.open()
        container = ThreadedContainer(cosmos.endpoint, cosmos.key, database, "workflow_snapshots", POLICY)
        yield Place(log, CosmosSnapshots(container, log.ours.partitions))
        container.close()


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("cosmos", marks=[pytest.mark.cosmos, UNVERIFIED]),
    ]
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param != "postgres":
        yield request.getfixturevalue(f"on_{request.param}")
        return
    with open_logs(postgres_settings(request.getfixturevalue("postgres_store_url"))) as logs:
        log = logs.open()
        datastore = cast(PostgresDatastore, log.recorder.datastore)  # type: ignore[attr-defined]
        yield Place(log, PostgresSnapshots(datastore))


def meta_of(version: int) -> Any:
    return metadata(
        command_id=f"command-{version}", request_digest=f"asked-{version}" if version % 3 else None
    )


def run(number: int) -> list[Event]:
    id = str(UUID(int=number))
    return [
        JobFired(
            job="j", run_id=id, triggered_by="manual", fired_at=NOW, metadata={"n": [number, 2.5, None]}
        ),
        JobRunPublished(job="j", run_id=id, published_at=NOW, deadline_at=after(hours=1)),
        JobRunCompleted(job="j", run_id=id, completed_at=NOW)
        if number % 4
        else JobRunFailed(job="j", run_id=id, error="no disk", failed_at=NOW, retry_at=after(hours=2)),
    ]


def runs(first: int, last: int) -> list[Event]:
    return [event for number in range(first, last + 1) for event in run(number)]


def test_a_stream_is_the_same_by_a_snapshot(place: Place) -> None:
    place.append(runs(1, 10))
    assert place.read() == place.read_all()
    assert place.store.versions() == {STREAM: 30}
    place.append(runs(11, 20), after=30)
    assert place.read() == place.read_all()
    assert place.store.versions() == {STREAM: 60}


def test_a_long_stream_is_read_from_its_snapshot(on_sqlite: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    on_sqlite.append(runs(1, 10))
    on_sqlite.read()
    asked: list[int] = []
    select = on_sqlite.log.ours.select_streams

    def counted(streams: Any) -> Any:
        found = select(streams)
        asked.append(len(found))
        return found

    monkeypatch.setattr(on_sqlite.log.recorder, "select_streams", counted)
    on_sqlite.read()
    assert asked == [1]


def test_a_short_stream_has_none(on_sqlite: Place, tmp_path: Path) -> None:
    on_sqlite.append(runs(1, 10))
    on_sqlite.read(every=EVERY)
    assert on_sqlite.store.versions() == {}
    assert not snapshots_file(tmp_path / "events.db").exists()


_EVENTS = st.lists(
    st.one_of(
        st.builds(run, st.integers(1, 12)),
        st.just([JobPaused(job="j", by="ada", reason="a look", paused_at=NOW)]),
        st.just([SAMPLES["job.report_unmatched"].event]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=20, deadline=None)
@given(parts=st.lists(_EVENTS, min_size=1, max_size=5), every=st.integers(0, 12))
def test_wherever_snapshots_fall(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[list[Event]]], every: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    with open_logs(sqlite_settings(folder)) as logs:
        place = Place(logs.open(), SqliteSnapshots(snapshots_file(folder / "events.db")))
        length = 0
        for part in parts:
            events = [event for each in part for event in each]
            place.append(events, after=length)
            length += len(events)
            assert place.read(every=every) == place.read_all()
        place.store.close()


FOLDS: dict[str, Callable[..., Any]] = {
    "workflow.": workflow.evolve,
    "approval.": approval.evolve,
    "job.": job.evolve,
    "task.": task.evolve,
    "delegation.": delegation.evolve,
    "concurrency.": concurrency.evolve,
    "definition.": published_definition.evolve,
    "backfill.": backfill.evolve,
}


@pytest.mark.parametrize("beginning", FOLDS)
def test_what_each_aggregate_comes_to_comes_back_as_it_was(on_sqlite: Place, beginning: str) -> None:
    evolve = FOLDS[beginning]
    state, fitting = None, list[Event]()
    for sample in SAMPLES.values():
        if sample.event.TOPIC.startswith(beginning):
            try:
                state = evolve(state, sample.event)
            except (KeyError, StopIteration, AssertionError, TypeError, AttributeError):
                continue
            fitting.append(sample.event)
            stream = f"{STREAM}-{len(fitting)}"
            on_sqlite.append(fitting, stream=stream)
            as_read = on_sqlite.read(evolve=evolve, stream=stream, every=0)
            assert as_read == on_sqlite.read(evolve=evolve, stream=stream, every=0)
            assert as_read == on_sqlite.read_all(evolve=evolve, stream=stream)
            assert on_sqlite.store.versions()[stream] == len(fitting)
    assert fitting


class Code:
    """What a pickle may hold."""

    ran = False

    def __reduce__(self) -> Any:
        return setattr, (Code, "ran", True)


def altered(snapshot: Snapshot, **changes: Any) -> Snapshot:
    """Somebody else's, and whole, as far as one can make it without a master key."""
    changed = msgspec.structs.replace(snapshot, **changes)
    return msgspec.structs.replace(changed, digest=sha256(changed.tagged).digest())


WRONG: dict[str, Callable[[Snapshot], Snapshot]] = {
    "torn": lambda it: msgspec.structs.replace(it, body=it.body[:-7]),
    "altered": lambda it: msgspec.structs.replace(it, body=it.body.replace(b"command-1", b"command-X")),
    "another release's": lambda it: altered(it, recipe="0" * 64),
    "another log's": lambda it: altered(it, leaf=bytes(32)),
    "of a later state of the log": lambda it: altered(it, version=it.version + 5),
    "of another stream": lambda it: msgspec.structs.replace(it, digest=altered(it, stream="t/job/k").digest),
    "no snapshot": lambda it: altered(it, body=b"\xc1"),
    "somebody's code": lambda it: altered(it, body=pickle.dumps(Code())),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_one_that_is_wrong_is_not_used_and_made_anew(on_sqlite: Place, wrong: str) -> None:
    on_sqlite.append(runs(1, 10))
    on_sqlite.read()
    right = on_sqlite.store.get(STREAM)
    assert right is not None
    on_sqlite.store.put(WRONG[wrong](right))
    assert on_sqlite.read() == on_sqlite.read_all()
    assert on_sqlite.store.get(STREAM) == right
    assert not Code.ran


def test_a_log_that_was_put_back_is_not_read_by_what_it_had_come_to(on_sqlite: Place, tmp_path: Path) -> None:
    on_sqlite.append(runs(1, 10))
    on_sqlite.read()
    with closing(sqlite3.connect(tmp_path / "events.db")) as log, log:
        log.execute("DELETE FROM stored_events WHERE originator_version > 12")
    on_sqlite.append(runs(30, 40), after=12)
    assert on_sqlite.read() == on_sqlite.read_all()


def test_a_file_that_is_none_hinders_nobody(on_sqlite: Place, tmp_path: Path) -> None:
    on_sqlite.append(runs(1, 10))
    snapshots_file(tmp_path / "events.db").write_bytes(b"no database" * 100)
    assert on_sqlite.read() == on_sqlite.read_all()


def test_what_was_forgotten_is_gone_and_does_not_come_again(place: Place) -> None:
    place.append(runs(1, 10))
    place.read()
    right = place.store.get(STREAM)
    assert right is not None
    Snapshots(place.store, place.log).forget(STREAM)
    assert place.store.get(STREAM) is None
    place.store.put(right)
    assert place.store.versions() == {}
    assert place.read() == place.read_all()
    assert place.store.versions() == {}


def test_what_was_forgotten_is_not_left_in_the_file(on_sqlite: Place, tmp_path: Path) -> None:
    on_sqlite.append(runs(1, 10))
    on_sqlite.read()
    file = snapshots_file(tmp_path / "events.db")
    assert b"command-1" in file.read_bytes()
    on_sqlite.store.forget(STREAM)
    assert b"command-1" not in file.read_bytes()


@asynccontextmanager
async def sealed_place(folder: Path) -> AsyncIterator[tuple[Place, Path]]:
    """A log with a master key, and where its file is."""
    settings = signing_settings(folder)
    settings.storage.data_dir.mkdir(parents=True, exist_ok=True)
    path = settings.storage.data_dir / "events.db"
    async with AsyncExitStack() as stack:
        personal = await open_personal(settings, stack)
        log = EventLog(sqlite_log_settings(path), personal.sealing)
        stack.callback(log.close)
        store = SqliteSnapshots(snapshots_file(path))
        stack.callback(store.close)
        yield Place(log, store), path


async def test_what_is_sealed_in_the_log_is_in_no_snapshot(tmp_path: Path) -> None:
    async with sealed_place(tmp_path) as (place, path):
        store = place.store
        paused = JobPaused(job="j", by="ada", reason="the disk of Zebedee is full", paused_at=NOW)
        place.append([*runs(1, 10), paused])
        assert place.read() == place.read_all()
        assert place.read().state.pause.reason == paused.reason
        assert store.versions() == {}
        place.append([JobResumed(job="j", by="ada", resumed_at=NOW), *runs(11, 20)], after=31)
        assert place.read() == place.read_all()
        assert store.versions() == {STREAM: 62}
        assert b"Zebedee" not in snapshots_file(path).read_bytes()


async def test_one_that_somebody_forged_is_not_used_where_there_is_a_master_key(tmp_path: Path) -> None:
    """He may write to the table, and make a digest that fits, but not a tag."""
    async with sealed_place(tmp_path) as (place, _):
        store = place.store
        place.append(runs(1, 10))
        before = place.read()
        right = store.get(STREAM)
        assert right is not None
        forged = altered(right, body=right.body.replace(b"command-1", b"command-X"))
        assert forged.body != right.body
        store.put(forged)
        assert place.read() == before
        assert store.get(STREAM) == right
