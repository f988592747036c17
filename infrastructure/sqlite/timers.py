"""Durable timers in SQLite."""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import msgspec

from application.ports import Settled, Timer
from domain.lease import Lease
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.many_rows import insertions

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS timers (id TEXT PRIMARY KEY, due_at TEXT NOT NULL, timer BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS timers_due ON timers (due_at)",
)

_DUE = "SELECT timer FROM timers WHERE due_at <= ?1 ORDER BY due_at, id LIMIT ?3"
_DUE_BESIDES = """
SELECT timer FROM timers
WHERE due_at <= ?1
AND json_extract(CAST(timer AS TEXT), '$.meta.tenant') NOT IN (SELECT value FROM json_each(?2))
ORDER BY due_at, id LIMIT ?3
"""

_SET = "INSERT OR REPLACE INTO timers (id, due_at, timer)"
_CANCEL = "DELETE FROM timers WHERE id IN (SELECT value FROM json_each(?))"

_timer = msgspec.json.Decoder(Timer)


class SqliteTimers:
    """The timers, in the file of the log's followers."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def create(self) -> None:
        """Create the table if it is missing."""
        await self._database.execute(*_SCHEMA)

    async def change(self, *, set: Sequence[Timer], cancel: Sequence[str], lease: Lease) -> None:
        """Set and cancel timers, all of them or none."""
        rows = [(timer.id, sortable(timer.due_at), msgspec.json.encode(timer)) for timer in set]
        statements = insertions(_SET, rows)
        if cancel:
            statements.append((_CANCEL, [msgspec.json.encode(cancel).decode()]))
        await self._database.carry_out(statements)

    async def settle(self, handled: Sequence[Settled], lease: Lease) -> None:
        """Delete or postpone the timers that were found due, unless they were cancelled or set to another
        time."""
        gone = [(found.id, sortable(found.due_at)) for found, again in handled if again is None]
        put_off = [
            (sortable(again.due_at), msgspec.json.encode(again), found.id, sortable(found.due_at))
            for found, again in handled
            if again is not None
        ]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM timers WHERE id = ? AND due_at = ?", gone)
            connection.executemany(
                "UPDATE timers SET due_at = ?, timer = ? WHERE id = ? AND due_at = ?", put_off
            )

        await self._database.write(write)

    async def due(self, now: datetime, limit: int, besides: Collection[str] = ()) -> Sequence[Timer]:
        """Return up to ``limit`` timers due by ``now``, the oldest first, without those of the tenants
        ``besides``."""
        given = (sortable(now), msgspec.json.encode(list(besides)).decode(), limit)

        def select(connection: sqlite3.Connection) -> list[Timer]:
            rows = connection.execute(_DUE_BESIDES if besides else _DUE, given)
            return [_timer.decode(row[0]) for row in rows]

        return await self._database.read(select)


def sortable(moment: datetime) -> str:
    """Return a time with microseconds: a timer that fires too early is refused by its aggregate, and
    forgotten."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
