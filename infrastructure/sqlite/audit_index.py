"""The audit index in SQLite. It has its own file, so that writing it does not block other writes."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from application.audit.chain import Head, beginning_of, tenant_of
from application.audit.ports import Indexed, Noted, Wanted, microseconds
from application.audit.rows import rows_after, sealed_in
from application.event_log import number_of
from domain.lease import Lease
from domain.values import StreamName
from infrastructure.audit_sql import (
    CLOCKS_DIFFER_BY_MICROSECONDS,
    Statements,
    head_of,
    in_order,
    indexed,
    values_of,
    where,
)
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.many_rows import insert

_CACHE_KIB = 16_384
_CHECKPOINT_PAGES = 16_384
"""Rows are inserted all over the indexes, so a page should be read from the file, and written back, once for
many rows."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS audit_position"
    " (one INTEGER PRIMARY KEY CHECK (one = 1), position TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS audit_heads (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL UNIQUE,"
    " number INTEGER NOT NULL, position INTEGER NOT NULL, chain BLOB NOT NULL, latest_at INTEGER NOT NULL)",
    "DROP INDEX IF EXISTS audit_heads_position",
    "CREATE TABLE IF NOT EXISTS audit_events (position INTEGER PRIMARY KEY, tenant_id INTEGER NOT NULL,"
    " number INTEGER NOT NULL, category TEXT NOT NULL, aggregate_id TEXT NOT NULL, version INTEGER NOT NULL,"
    " topic TEXT NOT NULL, actor TEXT NOT NULL, correlation_id TEXT NOT NULL, causation_id TEXT,"
    " at INTEGER NOT NULL, latest_at INTEGER NOT NULL, leaf BLOB NOT NULL, chain BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS audit_events_tenant ON audit_events (tenant_id)",
    "CREATE INDEX IF NOT EXISTS audit_events_topic ON audit_events (tenant_id, topic)",
    "CREATE INDEX IF NOT EXISTS audit_events_aggregate ON audit_events (tenant_id, aggregate_id)",
    "CREATE INDEX IF NOT EXISTS audit_events_actor ON audit_events (tenant_id, actor)",
    "CREATE INDEX IF NOT EXISTS audit_events_correlation ON audit_events (tenant_id, correlation_id)",
    "CREATE INDEX IF NOT EXISTS audit_events_time ON audit_events (tenant_id, latest_at)",
    "CREATE TABLE IF NOT EXISTS audit_sealed (key_id TEXT NOT NULL, stream TEXT NOT NULL,"
    " PRIMARY KEY (key_id, stream)) WITHOUT ROWID",
)
"""Each index ends with a row's position without naming it, because that is the row's key. The dropped indexes
are those that a former release made and nothing used."""


def _value(name: str) -> str:
    return f":{name}"


_sql = Statements("main", _value)

_EXISTS = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'audit_sealed'"

_HEAD = "INSERT INTO audit_heads (tenant, number, position, chain, latest_at)"
_GOES_ON = (
    "ON CONFLICT (tenant) DO UPDATE SET number = excluded.number, position = excluded.position,"
    " chain = excluded.chain, latest_at = excluded.latest_at"
)

_ADD = "INSERT OR FAIL INTO audit_events"
"""A failure rolls the whole transaction back."""


class SqliteAuditIndex:
    """The index of one log."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def create(self) -> None:
        """Create the tables that are missing."""
        await self._database.execute(*_SCHEMA)
        await self._database.tune(cache_kib=_CACHE_KIB, checkpoint_pages=_CHECKPOINT_PAGES)

    async def exists(self) -> bool:
        """Return whether the file has its tables. They are created together, after the file: a process that
        is killed in between, or whose disk is full, leaves a file without tables."""
        return bool(await self._database.select(_EXISTS))

    async def reached(self, partition: str) -> str | None:
        """Return the position of the log up to which the index is complete."""
        return await self._database.read(_reached)

    async def put(self, partition: str, events: Sequence[Noted], position: str, lease: Lease) -> None:
        """Add the next events. Events that the index already has are skipped."""

        def write(connection: sqlite3.Connection) -> None:
            done = number_of(_reached(connection))
            fresh = [event for event in events if event.entry.id > done]
            tenants = {event.entry.stream.partition("/")[0] for event in fresh}
            heads, _ = _known(connection, tenants)
            rows = list(rows_after(heads, fresh))
            insert(connection, _HEAD, [msgspec.structs.astuple(head) for head in heads.values()], _GOES_ON)
            _, ids = _known(connection, tenants)
            insert(connection, _ADD, [values_of(row, ids[row.tenant]) for row in rows])
            insert(connection, "INSERT OR IGNORE INTO audit_sealed", list(sealed_in(fresh)))
            if rows:
                connection.execute("INSERT OR REPLACE INTO audit_position VALUES (1, ?)", (position,))

        await self._database.write(write)

    async def clear(self) -> None:
        """Delete all rows. The index can be derived again."""

        def empty(connection: sqlite3.Connection) -> None:
            for table in ("audit_position", "audit_heads", "audit_events", "audit_sealed"):
                connection.execute(f"DELETE FROM {table}")

        await self._database.write(empty)

    async def sealed_streams(self, tenant: str, key_id: str, after: str, limit: int) -> Sequence[str]:
        """Return up to ``limit`` streams that hold values sealed under a key, ordered by name."""
        statement = "SELECT stream FROM audit_sealed WHERE key_id = ? AND stream > ? ORDER BY stream LIMIT ?"
        rows = await self._database.read(
            lambda connection: connection.execute(statement, (key_id, after, limit)).fetchall()
        )
        return [row[0] for row in rows]

    async def sealed_keys(self, limit: int) -> Sequence[tuple[str, str]]:
        """Return the tenant and the id of up to ``limit`` keys of sealed values, ordered by id."""
        rows = await self._database.read(
            lambda connection: connection.execute(_sql.sealed_keys, {"most": limit}).fetchall()
        )
        return [(tenant_of(stream), key_id) for stream, key_id in rows]

    async def page(
        self, wanted: Wanted, *, beyond: int, limit: int, newest_first: bool = False
    ) -> Sequence[Indexed]:
        """Return up to ``limit`` events beyond a position, in the order of the log or in reverse."""

        def select(connection: sqlite3.Connection) -> list[Indexed]:
            found = _condition(connection, wanted, beyond)
            if found is None:
                return []
            condition, values = found
            order = in_order(newest_first)
            statement = f"{_sql.rows}WHERE {condition} {order} LIMIT :most"
            return [indexed(row) for row in connection.execute(statement, values | {"most": limit})]

        return await self._database.read(select)

    async def count(self, wanted: Wanted) -> int:
        """Return how many events match."""

        def select(connection: sqlite3.Connection) -> int:
            if wanted.is_all:
                return _head(connection, wanted.tenant).number
            found = _condition(connection, wanted, 0)
            if found is None:
                return 0
            condition, values = found
            statement = f"{_sql.count}WHERE {condition}"
            return int(connection.execute(statement, values).fetchone()[0])

        return await self._database.read(select)

    async def head(self, tenant: str) -> Head:
        """Return the end of a tenant's hash chain, or its beginning if the tenant has no event."""
        return await self._database.read(lambda connection: _head(connection, tenant))

    async def heads(self) -> Sequence[Head]:
        """Return the heads of all tenants that have an event, ordered by tenant."""
        statement = f"{_sql.heads}ORDER BY tenant"
        rows = await self._database.read(lambda connection: connection.execute(statement).fetchall())
        return [head_of(row) for row in rows]

    async def at(self, tenant: str, position: int) -> Indexed | None:
        """Return the index's row for the event at a position."""
        return await self._one("position = ?", position)

    async def find(self, stream: str, version: int) -> Indexed | None:
        """Return the index's row for the event at a version of a stream."""
        if stream.count("/") < 2:
            return None
        name = StreamName.parse(stream)
        return await self._one(
            "tenant_id = (SELECT id FROM audit_heads WHERE tenant = ?) AND aggregate_id = ? AND category = ?"
            " AND version = ?",
            name.tenant,
            name.id,
            name.category,
            version,
        )

    async def preceding(self, tenant: str, position: int) -> Indexed | None:
        """Return the index's row for the tenant's last event before a position."""
        return await self._one(
            "tenant_id = (SELECT id FROM audit_heads WHERE tenant = ?) AND position < ?"
            " ORDER BY position DESC",
            tenant,
            position,
        )

    async def read(self, partition: str, after: int, limit: int) -> Sequence[Indexed]:
        """Return the next events of all tenants, in the order of the log."""
        statement = f"{_sql.rows}WHERE position > ? ORDER BY position LIMIT ?"
        rows = await self._database.read(
            lambda connection: connection.execute(statement, (after, limit)).fetchall()
        )
        return [indexed(row) for row in rows]

    async def _one(self, condition: str, *values: Any) -> Indexed | None:
        statement = f"{_sql.rows}WHERE {condition} LIMIT 1"
        row = await self._database.read(lambda connection: connection.execute(statement, values).fetchone())
        return None if row is None else indexed(row)


def audit_file(path: Path) -> Path:
    """The file of the index beside a log."""
    return path.with_name(f"{path.stem}-audit.db")


def _reached(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT position FROM audit_position").fetchone()
    return None if row is None else str(row[0])


def _head(connection: sqlite3.Connection, tenant: str) -> Head:
    heads, _ = _known(connection, {tenant})
    return heads.get(tenant) or beginning_of(tenant)


def _known(connection: sqlite3.Connection, tenants: set[str]) -> tuple[dict[str, Head], dict[str, int]]:
    rows = connection.execute(
        f"{_sql.heads}WHERE tenant IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(list(tenants)).decode(),),
    ).fetchall()
    return {row[0]: head_of(row) for row in rows}, {row[0]: row[5] for row in rows}


def _condition(
    connection: sqlite3.Connection, wanted: Wanted, beyond: int
) -> tuple[str, dict[str, Any]] | None:
    """Return the condition and its values, or None if the tenant has no event, or none so late."""
    row = connection.execute("SELECT id FROM audit_heads WHERE tenant = ?", (wanted.tenant,)).fetchone()
    if row is None:
        return None
    beyond = max(beyond, wanted.after_position)
    if wanted.after is not None:
        values = {"tenant_id": row[0], "moment": microseconds(wanted.after) + 1}
        first = connection.execute(_sql.first_from, values).fetchone()
        if first is None:
            return None
        beyond = max(beyond, first[0] - 1)
    if wanted.before is not None:
        moment = microseconds(wanted.before) + CLOCKS_DIFFER_BY_MICROSECONDS
        last = connection.execute(_sql.first_from, {"tenant_id": row[0], "moment": moment}).fetchone()
        if last is not None and (wanted.before_position is None or last[0] < wanted.before_position):
            wanted = msgspec.structs.replace(wanted, before_position=last[0])
    condition, values = where(wanted, _value, walked=True)
    return condition, values | {
        "tenant_id": row[0],
        "beyond": beyond,
    }
