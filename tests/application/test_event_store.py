"""The event log on a SQLite file and on a real PostgreSQL: the same cases for both."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import pytest
from immutables import Map

from application.deciders import Committed
from application.event_log import EventLog
from application.event_store import EventStore
from application.log_batches import LogBatch
from domain import job
from domain.errors import ApprovalNotPending, StoreUnavailable, VersionMismatch
from domain.event import Event, Metadata, Recorded
from domain.job import BatchJob, JobFired, OpenRun
from tests.application.logs import (
    LostAcknowledgement,
    LostAnswer,
    OpenLogs,
    open_logs,
    postgres_settings,
    sqlite_settings,
)
from tests.builders import NOW, OTHER_TENANT, TENANT, metadata
from tests.postgres import away, end_connections

pytestmark = pytest.mark.anyio

STREAM = f"{TENANT}/job/one"
OTHER_STREAM = f"{OTHER_TENANT}/job/one"


def fired(run: str) -> JobFired:
    return JobFired(
        job="outcome-sync", run_id=run, triggered_by="manual", fired_at=NOW, metadata={"run": run}
    )


async def append(
    store: EventStore,
    *runs: str,
    stream: str = STREAM,
    meta: Metadata | None = None,
    expected_version: int | None = None,
) -> Committed:
    return await store.execute(
        stream,
        evolve=job.evolve,
        decide=lambda state: [fired(run) for run in runs],
        meta=meta or metadata(tenant=stream.split("/")[0]),
        now=NOW,
        expected_version=expected_version,
    )


async def left_by(store: EventStore, committed: Committed) -> list[Recorded]:
    return [recorded async for part in store.parts_left_by(committed) for recorded in part]


def runs_of(events: Sequence[Recorded]) -> list[str]:
    return [recorded.event.run_id for recorded in events if isinstance(recorded.event, JobFired)]


async def read_all(store: EventStore, limit: int = 500, after: str | None = None) -> list[LogBatch]:
    partition = store.partition_of(TENANT)
    batches = []
    while batch := await store.read(partition, after, limit):
        batches.append(batch)
        after = batch.position
    return batches


class EventStoreCases:
    """What every log does."""

    @pytest.fixture
    def logs(self) -> Iterator[OpenLogs]:
        raise NotImplementedError

    def lost_acknowledgement(self, log: EventLog) -> LostAcknowledgement | LostAnswer:
        return LostAcknowledgement(log)

    @pytest.fixture
    def log(self, logs: OpenLogs) -> EventLog:
        return logs.open()

    @pytest.fixture(params=[(1, 100), (3, 1)], ids=["together", "each alone"])
    def store(self, log: EventLog, request: pytest.FixtureRequest) -> EventStore:
        threads, at_once = request.param
        return EventStore(log, threads=threads, at_once=at_once)

    async def test_what_is_appended_is_loaded_with_its_metadata(self, store: EventStore) -> None:
        meta = metadata()
        committed = await append(store, "a", "b", meta=meta)
        loaded = await store.load(STREAM)
        assert committed.past.events == committed.new == loaded
        assert committed.version == 2
        placed = [(each.stream, each.version, each.timestamp, each.meta) for each in loaded]
        assert placed == [(STREAM, 1, NOW, meta), (STREAM, 2, NOW, meta)]
        assert [each.event for each in loaded] == [fired("a"), fired("b")]

    async def test_a_stream_that_does_not_exist_is_empty(self, store: EventStore) -> None:
        assert await store.load("nowhere/job/none") == ()
        assert await store.history("nowhere/job/none", before=None, limit=5) == ((), 0)

    async def test_the_next_command_decides_on_what_is_there(self, store: EventStore) -> None:
        await append(store, "a")
        seen: list[BatchJob | None] = []

        def decide(state: BatchJob | None) -> list[Event]:
            seen.append(state)
            return [fired("b")]

        committed = await store.execute(STREAM, evolve=job.evolve, decide=decide, meta=metadata(), now=NOW)
        assert seen == [BatchJob(runs=Map({"a": "a"}), open_runs=(OpenRun(fired("a")),))]
        assert runs_of(await left_by(store, committed)) == ["a", "b"]
        assert runs_of(committed.new) == ["b"]
        assert committed.version == 2

    async def test_a_command_that_changes_nothing_appends_nothing(self, store: EventStore) -> None:
        first = await append(store, "a")
        committed = await append(store)
        assert (committed.past.events, committed.new, committed.position) == (
            first.past.events,
            (),
            first.position,
        )
        assert len(await store.load(STREAM)) == 1

    async def test_a_refusal_comes_through_and_appends_nothing(self, store: EventStore) -> None:
        def refuse(state: BatchJob | None) -> list[Event]:
            raise ApprovalNotPending("no")

        with pytest.raises(ApprovalNotPending):
            await store.execute(STREAM, evolve=job.evolve, decide=refuse, meta=metadata(), now=NOW)
        assert await store.load(STREAM) == ()

    async def test_equal_ids_of_two_tenants_are_two_streams(self, store: EventStore) -> None:
        await append(store, "a")
        assert (await append(store, "b", stream=OTHER_STREAM)).version == 1
        assert runs_of(await store.load(STREAM)) == ["a"]
        assert runs_of(await store.load(OTHER_STREAM)) == ["b"]

    async def test_a_lost_race_leads_to_a_fresh_decision(self, store: EventStore, logs: OpenLogs) -> None:
        rival = logs.open()
        seen: list[set[str]] = []

        def decide(state: BatchJob | None) -> list[Event]:
            seen.append(set(state.runs) if state else set())
            if len(seen) <= 2:
                version = len(seen)
                event = Recorded(
                    stream=STREAM,
                    version=version,
                    timestamp=NOW,
                    meta=metadata(),
                    event=fired(f"rival-{version}"),
                )
                rival.events.put([event])  # type: ignore[list-item]
            return [fired("mine")]

        committed = await store.execute(STREAM, evolve=job.evolve, decide=decide, meta=metadata(), now=NOW)
        assert seen == [set(), {"rival-1"}, {"rival-1", "rival-2"}]
        assert runs_of(await left_by(store, committed)) == ["rival-1", "rival-2", "mine"]
        assert await store.load(STREAM) == committed.past.events

    async def test_a_command_given_again_is_answered_and_not_decided_again(self, store: EventStore) -> None:
        meta = metadata()
        first = await append(store, "a", "b", meta=meta)
        await append(store, "c")
        again = await append(store, "d", meta=meta)
        assert again.new == ()
        assert first.version == again.version == 2
        assert runs_of(await left_by(store, again)) == ["a", "b"], "it is answered as it was the first time"
        assert runs_of(await store.load(STREAM)) == ["a", "b", "c"]

    async def test_a_command_given_again_is_recognised_before_its_version_is_checked(
        self, store: EventStore
    ) -> None:
        await append(store, "a")
        meta = metadata()
        await append(store, "b", meta=meta, expected_version=1)
        assert (await append(store, "b", meta=meta, expected_version=1)).version == 2

    async def test_a_command_on_an_older_version_is_refused_with_the_present_one(
        self, store: EventStore
    ) -> None:
        await append(store, "a", "b")
        with pytest.raises(VersionMismatch) as caught:
            await append(store, "c", expected_version=1)
        assert caught.value.details == {"version": 2}
        assert (await append(store, "c", expected_version=2)).version == 3

    async def test_history_is_paged_from_the_newest(self, store: EventStore) -> None:
        await append(store, *"abcde")
        first, version = await store.history(STREAM, before=None, limit=2)
        assert (runs_of(first), version) == (["e", "d"], 5)
        second, _ = await store.history(STREAM, before=first[-1].version, limit=2)
        assert runs_of(second) == ["c", "b"]
        third, version = await store.history(STREAM, before=second[-1].version, limit=2)
        assert (runs_of(third), version) == (["a"], 5)
        assert await store.history(STREAM, before=1, limit=2) == ((), 5)

    async def test_the_log_is_read_in_batches_over_all_streams_in_order(self, store: EventStore) -> None:
        await append(store, "a", "b")
        await append(store, "c", stream=OTHER_STREAM)
        await append(store, "d", "e")
        batches = await read_all(store, limit=2)
        assert [runs_of(batch.events) for batch in batches] == [["a", "b"], ["c", "d"], ["e"]]
        assert len({batch.position for batch in batches}) == 3

    async def test_reading_goes_on_from_any_position_that_was_given_out(self, store: EventStore) -> None:
        positions = [(await append(store, run)).position for run in "abc"]
        assert [runs_of(batch.events) for batch in await read_all(store, after=positions[0])] == [["b", "c"]]
        assert await read_all(store, after=positions[2]) == []
        partition = store.partition_of(TENANT)
        assert await store.head(partition) == positions[2]
        assert await store.count_after(partition, positions[0]) == 2
        assert await store.count_after(partition, None) == 3

    async def test_an_empty_log_has_a_position_too(self, store: EventStore) -> None:
        partition = store.partition_of(TENANT)
        head = await store.head(partition)
        assert await store.read(partition, head, 10) is None
        assert await store.count_after(partition, head) == 0
        await append(store, "a")
        assert [runs_of(batch.events) for batch in await read_all(store, after=head)] == [["a"]]

    async def test_a_reader_misses_nothing_under_eight_writers(
        self, store: EventStore, logs: OpenLogs
    ) -> None:
        writers, commands = 8, 15
        stores = [logs.store(), logs.store(), store]
        read: list[Recorded] = []
        positions: list[str] = []

        async def write(writer: int) -> None:
            for number in range(commands):
                shared = number % 5 == 0
                stream = STREAM if shared else f"{TENANT}/job/{writer}"
                run = f"{writer}-{number}"
                await append(stores[writer % 3], run, f"{run}-more", stream=stream)

        async def follow() -> None:
            partition, after = store.partition_of(TENANT), None
            while len(read) < writers * commands * 2:
                batch = await store.read(partition, after, 7)
                if batch is None:
                    await anyio.sleep(0.001)
                    continue
                read.extend(batch.events)
                positions.append(batch.position)
                after = batch.position

        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(follow)
                for writer in range(writers):
                    group.start_soon(write, writer)

        assert writers * commands * 2 == len(read) == len({recorded.event_id for recorded in read})
        assert [each.position for each in await read_all(store, 7)][-1] == positions[-1]
        replayed = [recorded for batch in await read_all(store, 500) for recorded in batch.events]
        assert read == replayed
        versions: dict[str, int] = {}
        for recorded in read:
            assert recorded.version == versions.get(recorded.stream, 0) + 1
            versions[recorded.stream] = recorded.version

    async def test_of_many_racing_commands_each_is_stored_once(
        self, store: EventStore, logs: OpenLogs
    ) -> None:
        stores = [store, logs.store()]
        decided: list[int] = []

        async def race(number: int) -> None:
            committed = await stores[number % 2].execute(
                STREAM,
                evolve=job.evolve,
                decide=lambda state: [] if state else [fired(str(number))],
                meta=metadata(),
                now=NOW,
            )
            assert committed.version == 1
            decided.extend(1 for _ in committed.new)

        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(race, number)
        assert decided == [1]

    async def test_a_lost_commit_acknowledgement_is_recognised_by_the_command_id(
        self, log: EventLog, store: EventStore
    ) -> None:
        acknowledgement = self.lost_acknowledgement(log)
        meta = metadata()

        async def give() -> Committed:
            def decide(state: BatchJob | None) -> list[Event]:
                acknowledgement.arm()
                return [fired("a")]

            return await store.execute(STREAM, evolve=job.evolve, decide=decide, meta=meta, now=NOW)

        try:
            committed = await give()
        except StoreUnavailable:
            committed = await give()
        assert acknowledgement.lost == 1
        assert runs_of(await left_by(store, committed)) == ["a"]
        assert runs_of(await store.load(STREAM)) == ["a"]

    async def test_a_closed_store_is_unavailable_and_not_broken(
        self, store: EventStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("eventsourcing.utils.sleep", lambda seconds: None)
        await append(store, "a")
        store.close()
        with pytest.raises(StoreUnavailable):
            await store.ping()
        with pytest.raises(StoreUnavailable):
            await append(store, "b")

    async def test_what_was_appended_is_there_after_a_restart(self, logs: OpenLogs) -> None:
        before = logs.store()
        committed = await append(before, "a", "b")
        before.close()
        after = logs.store()
        assert await after.load(STREAM) == committed.past.events
        assert await after.head(after.partition_of(TENANT)) == committed.position


class TestEventStoreOnSqlite(EventStoreCases):
    @pytest.fixture
    def logs(self, tmp_path: Path) -> Iterator[OpenLogs]:
        with open_logs(sqlite_settings(tmp_path)) as logs:
            yield logs

    async def test_a_file_that_another_process_locks_is_unavailable_and_comes_back(
        self, store: EventStore, tmp_path: Path
    ) -> None:
        await append(store, "a")
        other = sqlite3.connect(tmp_path / "events.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await append(store, "b")
        assert runs_of(await store.load(STREAM)) == ["a"]
        other.execute("ROLLBACK")
        other.close()
        assert (await append(store, "b")).version == 2

    async def test_the_work_is_done_on_threads_and_not_on_the_event_loop(self, store: EventStore) -> None:
        threads: list[int] = []

        def decide(state: BatchJob | None) -> list[Event]:
            threads.append(threading.get_ident())
            return []

        await store.execute(STREAM, evolve=job.evolve, decide=decide, meta=metadata(), now=NOW)
        assert threads != [threading.get_ident()]


@pytest.mark.postgres
class TestEventStoreOnPostgres(EventStoreCases):
    @pytest.fixture
    def logs(self, postgres_store_url: str) -> Iterator[OpenLogs]:
        with open_logs(postgres_settings(postgres_store_url)) as logs:
            yield logs

    def test_the_librarys_functions_that_lose_events_are_off(self, log: EventLog) -> None:
        assert log.recorder.datastore.enable_db_functions is False  # type: ignore[attr-defined]

    async def test_a_server_that_is_away_is_unavailable_and_comes_back(
        self, log: EventLog, postgres_store_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("eventsourcing.utils.sleep", lambda seconds: None)
        store = EventStore(log)
        await append(store, "a")
        with away(postgres_store_url):
            log.recorder.datastore.pool.timeout = 0.05  # type: ignore[attr-defined]
            with pytest.raises(StoreUnavailable):
                await store.ping()
            with pytest.raises(StoreUnavailable):
                await append(store, "b")
        log.recorder.datastore.pool.timeout = 10  # type: ignore[attr-defined]
        assert runs_of(await left_by(store, await append(store, "c"))) == ["a", "c"]

    async def test_connections_that_the_server_ends_are_replaced_unnoticed(
        self, store: EventStore, postgres_store_url: str
    ) -> None:
        await append(store, "a")
        end_connections(postgres_store_url)
        assert runs_of(await left_by(store, await append(store, "b"))) == ["a", "b"]
