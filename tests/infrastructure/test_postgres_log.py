"""How the log in PostgreSQL appends: in one round trip, in one order, and each caller for itself."""

import json
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    StoredEvent,
    Tracking,
)
from psycopg.pq import Trace

from application.event_log import EventLog
from infrastructure.postgres.recorder import _SELECT_BEFORE, _SELECT_STREAM, _SELECT_STREAMS, LogRecorder
from infrastructure.postgres.timelines import Timelines
from tests.application.logs import open_logs, postgres_settings
from tests.postgres import exchange

pytestmark = pytest.mark.postgres


def events(stream: str, *versions: int, state: bytes = b"{}") -> list[StoredEvent]:
    return [StoredEvent(stream, version, "test", state) for version in versions]


def ids_of(recorder: LogRecorder) -> dict[tuple[str, int], int]:
    """What the log holds: its ids by stream and version."""
    return {
        (str(each.originator_id), each.originator_version): each.id
        for each in recorder.select_notifications(None, 10_000)
    }


@pytest.fixture
def recorder(postgres_store_url: str) -> Iterator[LogRecorder]:
    """The service's own."""
    with open_logs(postgres_settings(postgres_store_url)) as logs:
        yield recorder_of(logs.open())


def recorder_of(log: EventLog) -> LogRecorder:
    recorder = log.recorder
    assert isinstance(recorder, LogRecorder)
    return recorder


@contextmanager
def the_logs_lock(url: str) -> Iterator[psycopg.Connection]:
    """Another writer's transaction that does not end."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(3051, 1)")
        yield connection


def commits(url: str) -> int:
    """How many transactions have left events."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(DISTINCT xmin::text) FROM workflow_orchestrator_events"
        ).fetchone()
        assert row is not None
        return int(row[0])


def test_an_append_is_one_round_trip(recorder: LogRecorder) -> None:
    for version in range(1, 8):
        recorder.insert_events(events("s", version))
    with recorder.datastore.get_connection() as connection, tempfile.TemporaryFile() as trace:
        connection.execute("SELECT 1")
        recorder.datastore.get_connection = lambda: _given(connection)  # type: ignore[method-assign]
        for version in range(8, 14):
            recorder.insert_events(events("s", version))
        connection.pgconn.trace(trace.fileno())
        connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        recorder.insert_events(events("s", 14, 15, 16))
        connection.pgconn.untrace()
        trace.seek(0)
        messages = trace.read().decode()
    assert len(re.findall(r"^F\s.*Sync", messages, re.MULTILINE)) == 1, messages
    assert len(re.findall(r"^B\s.*ReadyForQuery", messages, re.MULTILINE)) == 1, messages


@contextmanager
def _given(connection: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    yield connection


def test_ids_come_in_the_order_of_the_events(recorder: LogRecorder) -> None:
    ids = recorder.insert_events(events("s", *range(1, 201)))
    assert ids is not None
    assert list(ids) == sorted(ids)
    assert ids_of(recorder) == {("s", version): id for version, id in enumerate(ids, start=1)}


def test_an_append_of_nothing_asks_for_nothing(recorder: LogRecorder) -> None:
    assert recorder.insert_events([]) is None


def test_what_the_recorder_does_not_keep_is_refused_and_not_dropped(recorder: LogRecorder) -> None:
    with pytest.raises(NotSupportedError, match="tracking"):
        recorder.insert_events(events("s", 1), tracking=Tracking("upstream", 1))
    assert ids_of(recorder) == {}


def test_an_append_that_clashes_is_refused_whole(recorder: LogRecorder) -> None:
    recorder.insert_events(events("s", 1))
    with pytest.raises(IntegrityError):
        recorder.insert_events([*events("s", 2), *events("s", 1)])
    assert set(ids_of(recorder)) == {("s", 1)}


def test_a_vacuum_of_the_table_does_not_hold_up_an_append(
    recorder: LogRecorder, postgres_store_url: str
) -> None:
    with psycopg.connect(postgres_store_url) as connection:
        connection.execute("LOCK TABLE workflow_orchestrator_events IN SHARE UPDATE EXCLUSIVE MODE")
        began = time.monotonic()
        recorder.insert_events(events("s", 1))
        assert time.monotonic() - began < 0.5


def test_a_lock_that_is_not_given_back_is_not_waited_for_for_ever(
    recorder: LogRecorder, postgres_store_url: str
) -> None:
    with the_logs_lock(postgres_store_url):
        began = time.monotonic()
        with pytest.raises(OperationalError, match="lock timeout"):
            recorder.insert_events(events("s", 1))
        assert 1.5 < time.monotonic() - began < 4
    assert ids_of(recorder) == {}
    recorder.insert_events(events("s", 1))


def test_the_stock_recorder_beside_ours_is_kept_apart_by_its_own_lock(
    recorder: LogRecorder, postgres_store_url: str
) -> None:
    with psycopg.connect(postgres_store_url) as stock, ThreadPoolExecutor(1) as thread:
        stock.execute("LOCK TABLE workflow_orchestrator_events IN EXCLUSIVE MODE")
        ours = thread.submit(recorder.insert_events, events("ours", 1))
        time.sleep(0.2)
        stock.execute(
            "INSERT INTO workflow_orchestrator_events (originator_id, originator_version, topic, state)"
            " VALUES ('stock', 1, 'test', '')"
        )
        stock.commit()
        ours.result(5)
    found = ids_of(recorder)
    assert found["stock", 1] < found["ours", 1]


def test_appends_that_come_together_share_one_commit(recorder: LogRecorder, postgres_store_url: str) -> None:
    outcomes = recorder.append_together([events(f"s{number}", 1, 2) for number in range(12)])
    assert commits(postgres_store_url) == 1
    found = ids_of(recorder)
    for number, ids in enumerate(outcomes):
        assert ids == [found[f"s{number}", 1], found[f"s{number}", 2]]


def test_of_those_who_share_a_commit_each_has_its_own_result(recorder: LogRecorder) -> None:
    recorder.insert_events(events("taken", 1))
    appends = [
        events("a", 1, 2),
        events("taken", 1),
        events("b", 1),
        events("b", 1),
        [*events("c", 1), *events("taken", 1)],
        events("d", 1, 2, 3),
    ]
    a, taken, b, b_again, c, d = recorder.append_together(appends)
    for refused in (taken, b_again, c):
        assert isinstance(refused, IntegrityError)
    found = ids_of(recorder)
    kept = [("a", 1), ("a", 2), ("b", 1), ("d", 1), ("d", 2), ("d", 3)]
    assert set(found) == {("taken", 1), *kept}
    assert a == [found["a", 1], found["a", 2]]
    assert b == [found["b", 1]]
    assert d == [found["d", version] for version in (1, 2, 3)]


def test_what_the_database_cannot_take_is_refused_to_its_caller_alone(recorder: LogRecorder) -> None:
    a, nul, b = recorder.append_together([events("a", 1), events("nul\x00", 1), events("b", 1)])
    assert isinstance(nul, DataError)
    found = ids_of(recorder)
    assert (a, b) == ([found["a", 1]], [found["b", 1]])
    assert len(found) == 2


def test_a_lock_that_is_not_given_back_is_told_to_all_who_come_together(
    recorder: LogRecorder, postgres_store_url: str
) -> None:
    appends = [events(f"s{number}", 1) for number in range(4)]
    with the_logs_lock(postgres_store_url), pytest.raises(OperationalError, match="lock timeout"):
        recorder.append_together(appends)
    assert ids_of(recorder) == {}
    assert len(recorder.append_together(appends)) == 4


def test_the_streams_that_are_asked_for_come_in_one_look(recorder: LogRecorder) -> None:
    recorder.append_together([events("a", 1, 2), events("b", 1), events("c", 1)])
    found = recorder.select_streams({"c": 0, "nowhere": 0, "a": 1})
    assert [(each.originator_id, each.originator_version) for each in found] == [("c", 1), ("a", 2)]


QUESTIONS = {
    "several": (_SELECT_STREAMS, ("ARRAY['s0', 'nowhere']", "ARRAY[0, 0]", "5000", "4194304", "5000")),
    "one": (_SELECT_STREAM, ("'s0'", "0", "5000", "4194304")),
    "its end": (_SELECT_BEFORE, ("'s0'", "9", "50", "4194304")),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("streams", [1, 2_000])
def test_streams_are_found_by_their_keys_in_a_log_that_was_never_analyzed(
    recorder: LogRecorder, streams: int, question: str
) -> None:
    statement, given = QUESTIONS[question]
    named = tuple(f"${number}" for number in range(1, len(given) + 1))
    recorder.append_together([events(f"s{number}", *range(1, 13)) for number in range(streams)])
    with recorder.datastore.get_connection() as connection, connection.cursor() as cursor:
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        cursor.execute(f"PREPARE asked AS {statement % named}".encode())
        cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE asked ({', '.join(given)})".encode())
        plan = json.dumps(cursor.fetchall(), default=str)
    assert "workflow_orchestrator_events_pkey" in plan
    assert "Seq Scan" not in plan


def test_an_event_is_stored_only_after_the_one_before_it(recorder: LogRecorder) -> None:
    recorder.append_together([events("a", 1)])
    (alone,) = recorder.append_together([events("a", 3)])
    assert isinstance(alone, IntegrityError)
    fine, gap, inside = recorder.append_together([events("b", 1, 2), events("a", 3), events("c", 1, 3)])
    assert not isinstance(fine, Exception)
    assert isinstance(gap, IntegrityError)
    assert isinstance(inside, IntegrityError)
    assert sorted(ids_of(recorder)) == [("a", 1), ("b", 1), ("b", 2)]


def test_what_was_decided_before_the_server_was_another_is_not_stored(recorder: LogRecorder) -> None:
    appends = [events("a", 1), events("b", 1)]
    refused = recorder.append_together(appends, recorder.switches - 1)
    assert [type(each).__mro__[1] for each in refused] == [IntegrityError] * 2
    assert ids_of(recorder) == {}
    assert recorder.append_together(appends, recorder.switches) == [[1], [2]]


def test_a_database_that_was_restored_under_the_name_is_gone_on_with_as_after_a_failover(
    recorder: LogRecorder, postgres_store_url: str, other_postgres_store_url: str
) -> None:
    recorder.append_together([events("a", 1)])
    with open_logs(postgres_settings(other_postgres_store_url)) as logs:
        restored = recorder_of(logs.open())
        restored.append_together([events("b", 1)])
    decided_at = recorder.switches
    exchange(postgres_store_url, other_postgres_store_url)
    assert ids_of(recorder) == {("b", 1): 1}
    assert recorder.switches == decided_at + 1
    (refused,) = recorder.append_together([events("a", 2)], decided_at)
    assert isinstance(refused, IntegrityError)
    assert recorder.append_together([events("a", 1)], recorder.switches) == [[2]]


def test_a_server_that_does_not_tell_its_timeline_is_of_use_all_the_same(
    recorder: LogRecorder, postgres_store_url: str
) -> None:
    with psycopg.connect(postgres_store_url, autocommit=True) as connection:
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public")
        connection.execute(
            "DO $$ BEGIN CREATE ROLE nobody_much; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
        connection.execute("SET ROLE nobody_much")
        timelines = Timelines()
        timelines.look(connection)
        assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.execute("RESET ROLE")
        timelines.look(connection)
        timelines.look(connection)
    assert timelines.switches == 0


def test_what_a_url_says_of_a_connection_holds_for_the_logs_connections(postgres_store_url: str) -> None:
    def names(url: str) -> set[str]:
        with open_logs(postgres_settings(url, connections=3)) as logs:
            logs.open().recorder.max_notification_id()
            with psycopg.connect(postgres_store_url) as connection:
                rows = connection.execute(
                    "SELECT application_name FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    " AND backend_type = 'client backend'"
                ).fetchall()
        return {row[0] for row in rows}

    assert names(postgres_store_url) == {"workflow-orchestrator"}
    assert names(f"{postgres_store_url}?application_name=mine") == {"mine"}


def test_there_are_never_more_connections_than_the_pool_has(postgres_store_url: str) -> None:
    seen: list[int] = []
    done = threading.Event()

    def watch() -> None:
        with psycopg.connect(postgres_store_url, autocommit=True) as connection:
            while not done.is_set():
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
                ).fetchone()
                assert row is not None
                seen.append(row[0])

    settings = postgres_settings(postgres_store_url, connections=3)
    with open_logs(settings) as logs, ThreadPoolExecutor(13) as threads:
        log = logs.open().recorder
        watcher = threads.submit(watch)

        def append(stream: str) -> None:
            for version in range(1, 11):
                log.insert_events(events(stream, version))

        work = [threads.submit(append, f"s{number}") for number in range(12)]
        for each in work:
            each.result(20)
        done.set()
        watcher.result(5)
    assert max(seen) == 3


@pytest.mark.parametrize(
    "setting",
    ["default_transaction_read_only = on", "role = 'nobody_much'"],
    ids=["a standby", "a missing right"],
)
def test_a_server_that_takes_no_writes_from_us_is_away_and_no_fault_of_what_was_appended(
    postgres_store_url: str, setting: str
) -> None:
    with psycopg.connect(postgres_store_url, autocommit=True) as connection:
        connection.execute(
            "DO $$ BEGIN CREATE ROLE nobody_much; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {setting}".encode())
    with open_logs(postgres_settings(postgres_store_url)) as logs, pytest.raises(OperationalError):
        recorder_of(logs.open()).append_together([events("a", 1), events("b", 1)])
