"""Snapshots in SQLite. They have their own file, so that writing them does not block other writes.

The file may be deleted while no service runs.
"""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import TypeVar

import msgspec

from application.snapshots import Snapshot

T = TypeVar("T")

_TABLE = (
    "CREATE TABLE IF NOT EXISTS stream_snapshots (stream TEXT PRIMARY KEY, version INTEGER NOT NULL,"
    " recipe TEXT NOT NULL, leaf BLOB NOT NULL, body BLOB NOT NULL, digest BLOB NOT NULL,"
    " forgotten INTEGER NOT NULL DEFAULT 0)"
)
_PUT = (
    "INSERT INTO stream_snapshots (stream, version, recipe, leaf, body, digest) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (stream) DO UPDATE SET version = excluded.version, recipe = excluded.recipe,"
    " leaf = excluded.leaf, body = excluded.body, digest = excluded.digest"
    " WHERE NOT forgotten"
)
_FORGET = (
    "INSERT INTO stream_snapshots VALUES (?, 0, '', x'', x'', x'', 1)"
    " ON CONFLICT (stream) DO UPDATE SET version = 0, recipe = '', leaf = x'', body = x'', digest = x'',"
    " forgotten = 1"
)


class SqliteSnapshots:
    """One connection, used by one thread at a time. The first snapshot creates the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = Lock()
        self._connection: sqlite3.Connection | None = None

    def versions(self, partition: str | None = None) -> Mapping[str, int]:
        """Return the version of the snapshot of each stream that has one. The log has one partition."""
        if not self._path.exists():
            return {}
        select = "SELECT stream, version FROM stream_snapshots WHERE NOT forgotten"
        return self._with(lambda connection: dict(connection.execute(select).fetchall()))

    def get(self, stream: str) -> Snapshot | None:
        """Return the snapshot of a stream, if there is one."""
        select = (
            "SELECT stream, version, recipe, leaf, body, digest FROM stream_snapshots"
            " WHERE stream = ? AND NOT forgotten"
        )
        row = self._with(lambda connection: connection.execute(select, (stream,)).fetchone())
        return None if row is None else Snapshot(**dict(zip(Snapshot.__struct_fields__, row, strict=True)))

    def put(self, snapshot: Snapshot) -> None:
        """Store a snapshot in place of the stream's former one, unless the stream was forgotten."""
        values = msgspec.structs.astuple(snapshot)
        self._with(lambda connection: connection.execute(_PUT, values))

    def forget(self, stream: str) -> None:
        """Delete the snapshot of a stream, and never store another one of it."""
        self._with(lambda connection: connection.execute(_FORGET, (stream,)))

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _with(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._turn:
            if self._connection is None:
                self._connection = _opened(self._path)
            with self._connection:
                return work(self._connection)


def snapshots_file(path: Path) -> Path:
    """Return the file of the snapshots beside a log."""
    return path.with_name(f"{path.stem}-snapshots.db")


def _opened(path: Path) -> sqlite3.Connection:
    """Open the file. With ``secure_delete`` no forgotten snapshot stays in the file's free pages."""
    connection = sqlite3.connect(path, check_same_thread=False, timeout=1.0)
    try:
        for statement in ("PRAGMA secure_delete=ON", "PRAGMA synchronous=NORMAL", _TABLE):
            connection.execute(statement)
    except sqlite3.Error:
        connection.close()
        raise
    return connection
