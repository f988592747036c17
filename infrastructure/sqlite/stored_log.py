"""The events of a log in SQLite, as they are stored."""

import sqlite3
from collections.abc import AsyncGenerator, Collection, Sequence
from typing import Any

import msgspec

from application.event_log import PARTITION
from application.log_batches import BATCH_BYTES, Part, bytes_of, in_parts, taken
from application.log_copy import Entry
from infrastructure.sqlite.database import SqliteDatabase

_EVENT = "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events"

_IS_THERE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'stored_events'"


class SqliteStoredLog:
    """Reads only. Each call sees the log as it is at that time."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def partitions(self) -> Sequence[str]:
        """The log has one partition."""
        return (PARTITION,)

    def partition_of(self, tenant: str) -> str:
        """The log has one partition."""
        return PARTITION

    async def last(self, partition: str) -> int:
        """Return the id of the last event, or 0 if there is none, also if the file is new."""

        def select(connection: sqlite3.Connection) -> int:
            if not connection.execute(_IS_THERE).fetchone():
                return 0
            return int(connection.execute("SELECT coalesce(max(rowid), 0) FROM stored_events").fetchone()[0])

        return await self._database.read(select)

    async def read(self, partition: str, after: int, limit: int) -> Sequence[Entry]:
        """Return the next events after an id, ordered by id, up to a full batch."""
        return await self._entries(f"{_EVENT} WHERE rowid > ? ORDER BY rowid LIMIT ?", (after, limit))

    def at(self, partition: str, ids: Collection[int]) -> AsyncGenerator[Part, None]:
        """Yield the events at some ids, a full batch at a time."""
        return in_parts(ids, self._at)

    async def find(self, stream: str, version: int) -> Entry | None:
        """Return the event at a version of a stream, if there is one."""
        found = await self._entries(
            f"{_EVENT} WHERE originator_id = ? AND originator_version = ?", (stream, version)
        )
        return found[0] if found else None

    async def _at(self, ids: Sequence[int]) -> Sequence[Entry]:
        statement = f"{_EVENT} WHERE rowid IN (SELECT value FROM json_each(?)) ORDER BY rowid"
        return await self._entries(statement, (msgspec.json.encode(ids).decode(),))

    async def _entries(self, statement: str, values: tuple[Any, ...]) -> list[Entry]:
        def select(connection: sqlite3.Connection) -> list[Entry]:
            return taken(map(_entry, connection.execute(statement, values)), bytes_of, BATCH_BYTES)

        return await self._database.read(select)


def _entry(row: tuple[Any, ...]) -> Entry:
    """Return a row as an entry. Somebody may have inserted values of another type with a tool of their
    own."""
    id, stream, version, topic, state = row
    content = state.encode() if isinstance(state, str) else bytes(state or b"")
    return Entry(id, str(stream), int(version), str(topic or ""), content)
