"""The event log in SQLite: what its settings promise."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from eventsourcing.persistence import OperationalError, StoredEvent

from application.event_log import PARTITION, EventLog
from infrastructure.sqlite.event_store import sqlite_log_settings
from infrastructure.sqlite.many_rows import Rows, Statement, insertion
from infrastructure.sqlite.recorder import SELECT_STREAMS, LogRecorder


def test_a_commit_is_on_the_disk_before_it_is_answered(tmp_path: Path) -> None:
    log = EventLog(sqlite_log_settings(tmp_path / "here.db"))
    with log.recorder.datastore.transaction(commit=False) as cursor:  # type: ignore[attr-defined]
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone()[0] == "wal"
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone()[0] == 2
    log.close()


def test_the_processs_environment_has_no_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SQLITE_DBNAME", str(tmp_path / "elsewhere.db"))
    monkeypatch.setenv("PERSISTENCE_MODULE", "eventsourcing.popo")
    log = EventLog(sqlite_log_settings(tmp_path / "here.db"))
    log.close()
    assert {path.name for path in tmp_path.iterdir()} == {"here.db"}


@pytest.mark.parametrize("restored", [False, True])
def test_a_log_whose_file_is_no_longer_there_accepts_nothing_that_the_next_start_would_not_find(
    tmp_path: Path, restored: bool
) -> None:
    path, aside = tmp_path / "here.db", tmp_path / "aside.db"
    log = EventLog(sqlite_log_settings(path))
    assert isinstance(log.recorder, LogRecorder)
    log.recorder.append_together([some_events("first", 1)])
    path.rename(aside)
    if restored:
        path.touch()
    with pytest.raises(OperationalError, match="moved, deleted or replaced while it was in use"):
        log.recorder.append_together([some_events("second", 1)])
    with pytest.raises(OperationalError, match="moved, deleted or replaced"):
        log.recorder.select_after(PARTITION, 0, 10)
    aside.rename(path)
    log.recorder.append_together([some_events("second", 1)])
    log.close()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[LogRecorder]:
    log = EventLog(sqlite_log_settings(tmp_path / "here.db"))
    assert isinstance(log.recorder, LogRecorder)
    yield log.recorder
    log.close()


def some_events(stream: str, count: int, *, first: int = 1) -> list[StoredEvent]:
    return [StoredEvent(stream, version, "topic", b"{}") for version in range(first, first + count)]


@pytest.mark.parametrize("count", [1, 256, 257, 700])
def test_events_that_are_appended_together_have_the_ids_that_are_told(
    recorder: LogRecorder, count: int
) -> None:
    before = recorder.append_together([some_events("first", 2)])
    together = recorder.append_together([some_events("second", count), [], some_events("third", 3)])
    told = [id for ids in (*before, *together) if not isinstance(ids, Exception) for id in ids]
    stored = recorder.select_after("log", 0, count + 10)
    assert told == [each.id for each in stored] == list(range(1, count + 6))
    assert [str(each.originator_id) for each in stored] == ["first"] * 2 + ["second"] * count + ["third"] * 3


@pytest.mark.parametrize(("bytes_of_each", "statements"), [(100, [40]), (10_000, [1] * 40)])
def test_what_is_large_is_bound_to_a_statement_of_one_row_which_a_connection_keeps(
    recorder: LogRecorder, monkeypatch: pytest.MonkeyPatch, bytes_of_each: int, statements: list[int]
) -> None:
    carried_out: list[int] = []

    def noted(into: str, rows: Rows) -> Statement:
        carried_out.append(len(rows))
        return insertion(into, rows)

    monkeypatch.setattr("infrastructure.sqlite.recorder.insertion", noted)
    events = [StoredEvent("stream", version, "topic", bytes(bytes_of_each)) for version in range(1, 41)]
    assert recorder.append_together([events]) == [tuple(range(1, 41))]
    assert carried_out == statements


def test_a_name_that_sqlite_would_cut_is_refused(recorder: LogRecorder) -> None:
    recorder.append_together([some_events("one", 1)])
    with pytest.raises(ValueError, match="NUL"):
        recorder.select_streams({"one\0more": 0})


def test_a_look_at_many_streams_is_in_their_order_and_sorts_nothing(
    recorder: LogRecorder, tmp_path: Path
) -> None:
    names = [f"stream {number:03}" for number in range(40)]
    recorder.append_together([some_events(name, 3) for name in reversed(names)])
    recorder.append_together([some_events(name, 2, first=4) for name in names])
    asked = {name: number % 6 for number, name in enumerate(names)}
    found = [(str(each.originator_id), each.originator_version) for each in recorder.select_streams(asked)]
    assert found == [(name, version) for name, after in asked.items() for version in range(after + 1, 6)]
    with closing(sqlite3.connect(tmp_path / "here.db")) as connection:
        steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {SELECT_STREAMS}", ["{}"])]
    assert [step.split()[0] for step in steps] == ["SCAN", "SEARCH"]
    assert "USING INDEX" in steps[1]
    assert "(originator_id=? AND originator_version>?)" in steps[1]


def test_a_look_ends_where_the_batch_is_full(recorder: LogRecorder) -> None:
    recorder.append_together([some_events("one", 5), some_events("two", 5)])
    found = recorder.select_streams({"one": 1, "two": 0}, limit=6)
    assert [(str(each.originator_id), each.originator_version) for each in found] == [
        *(("one", version) for version in range(2, 6)),
        ("two", 1),
        ("two", 2),
    ]
