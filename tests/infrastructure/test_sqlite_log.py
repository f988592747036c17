"""The event log in SQLite: what its settings promise."""

from pathlib import Path

import pytest

from application.event_log import EventLog
from infrastructure.sqlite.event_store import sqlite_log_settings


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
