"""The personal keys of an embedded store, in a file of their own from which deleted keys disappear.

``secure_delete`` overwrites a deleted row with zeros. Without a write-ahead log there is no second copy of
the page: the rollback journal is emptied with the commit.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TypeVar

import msgspec

from application.privacy.ports import Erasure, Rewrapped
from infrastructure.sqlite.database import failures_translated

T = TypeVar("T")

_LOCK_TIMEOUT_SECONDS = 5.0

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS personal_keys (id TEXT PRIMARY KEY, tenant TEXT NOT NULL,"
    " subject TEXT NOT NULL, wrapped BLOB NOT NULL, UNIQUE (tenant, subject)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS personal_erasures (number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " tenant TEXT NOT NULL, key_id TEXT NOT NULL, reason TEXT, erased_at TEXT NOT NULL,"
    " is_told INTEGER NOT NULL DEFAULT FALSE)",
)


class SqlitePersonalKeys:
    """The keys in one file, which several processes may use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = Lock()
        with failures_translated(path):
            self._connection = sqlite3.connect(
                path, timeout=_LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode=TRUNCATE")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA secure_delete=ON")
        with self._transaction() as connection:
            for statement in _SCHEMA:
                connection.execute(statement)

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._connection.close()

    def named(self, ids: Collection[str]) -> Mapping[str, bytes]:
        """Return those of the keys that exist."""
        statement = "SELECT id, wrapped FROM personal_keys WHERE id IN (SELECT value FROM json_each(?))"
        given = msgspec.json.encode(list(ids)).decode()
        return self._read(lambda connection: dict(connection.execute(statement, [given]).fetchall()))

    def of(self, tenant: str, subject: str) -> tuple[str, bytes] | None:
        """Return the id and the wrapped key of a subject, if there is one."""
        return self._read(lambda connection: _of(connection, tenant, subject))

    def put(self, tenant: str, subject: str, id: str, wrapped: bytes) -> tuple[str, bytes]:
        """Store a key unless the subject has got one meanwhile. Return the key that the subject then has."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO personal_keys VALUES (?, ?, ?, ?)", (id, tenant, subject, wrapped)
            )
            return _of(connection, tenant, subject) or (id, wrapped)

    def add(self, keys: Sequence[tuple[str, str, str, bytes]]) -> None:
        """Store keys as :meth:`all` returns them, except for subjects that have one."""
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO personal_keys VALUES (?, ?, ?, ?)", keys)

    def any(self) -> tuple[str, bytes] | None:
        """Return any one of the keys, if there is one."""
        statement = "SELECT id, wrapped FROM personal_keys LIMIT 1"
        row = self._read(lambda connection: connection.execute(statement).fetchone())
        return None if row is None else (row[0], row[1])

    def page(self, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """Return up to ``limit`` keys whose id follows ``after``, ordered by id."""
        statement = "SELECT id, wrapped FROM personal_keys WHERE id > ? ORDER BY id LIMIT ?"
        return self._read(lambda connection: connection.execute(statement, (after, limit)).fetchall())

    def rewrap(self, keys: Sequence[Rewrapped]) -> int:
        """Replace keys by their new wrapped form. Return how many were replaced."""
        statement = "UPDATE personal_keys SET wrapped = ? WHERE id = ? AND wrapped = ?"
        with self._transaction() as connection:
            rows = [(each.wrapped, each.id, each.was) for each in keys]
            return connection.executemany(statement, rows).rowcount

    def erasures(self) -> int:
        """Return how often a key was destroyed."""
        statement = "SELECT coalesce(max(number), 0) FROM personal_erasures"
        return self._read(lambda connection: int(connection.execute(statement).fetchone()[0]))

    def destroy(self, tenant: str, subjects: Sequence[str], reason: str | None, now: datetime) -> int:
        """Destroy the keys of subjects and note it, in one transaction. Return how many there were."""
        with self._transaction() as connection:
            found = [key[0] for each in subjects if (key := _of(connection, tenant, each))]
            return _destroy(connection, tenant, found, reason, now)

    def destroy_again(self, tenant: str, ids: Collection[str], now: datetime) -> int:
        """Destroy keys that a backup has brought back, in the same way. Return how many there were."""
        with self._transaction() as connection:
            return _destroy(connection, tenant, ids, None, now)

    def untold(self) -> Sequence[Erasure]:
        """Return the erasures that have no event in the log yet."""
        statement = (
            "SELECT number, tenant, key_id, reason, erased_at FROM personal_erasures"
            " WHERE NOT is_told ORDER BY number"
        )
        rows = self._read(lambda connection: connection.execute(statement).fetchall())
        return [
            Erasure(
                number=row[0],
                tenant=row[1],
                key_id=row[2],
                reason=row[3],
                erased_at=datetime.fromisoformat(row[4]),
            )
            for row in rows
        ]

    def note_told(self, number: int) -> None:
        """Note that an erasure now has its event in the log."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE personal_erasures SET is_told = TRUE, reason = NULL WHERE number = ?", [number]
            )

    def all(self) -> list[tuple[str, str, str, bytes]]:
        """Return every key with its owner, for a copy."""
        statement = "SELECT id, tenant, subject, wrapped FROM personal_keys ORDER BY id"
        return self._read(lambda connection: connection.execute(statement).fetchall())

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._turn, failures_translated(self._path):
            return work(self._connection)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._turn, failures_translated(self._path), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection


def keys_file(path: Path) -> Path:
    """Return the file of the personal keys beside a log."""
    return path.with_name(f"{path.stem}-keys.db")


def _of(connection: sqlite3.Connection, tenant: str, subject: str) -> tuple[str, bytes] | None:
    statement = "SELECT id, wrapped FROM personal_keys WHERE tenant = ? AND subject = ?"
    row = connection.execute(statement, (tenant, subject)).fetchone()
    return None if row is None else (row[0], row[1])


def _destroy(
    connection: sqlite3.Connection, tenant: str, ids: Collection[str], reason: str | None, now: datetime
) -> int:
    destroyed = 0
    for id in ids:
        statement = "DELETE FROM personal_keys WHERE tenant = ? AND id = ?"
        if connection.execute(statement, (tenant, id)).rowcount:
            destroyed += 1
            connection.execute(
                "INSERT INTO personal_erasures (tenant, key_id, reason, erased_at) VALUES (?, ?, ?, ?)",
                (tenant, id, reason, now.astimezone(UTC).isoformat()),
            )
    return destroyed
