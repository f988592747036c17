"""The calls that steps still have to make, in SQLite."""

import sqlite3
from collections.abc import Collection, Sequence

import msgspec

from application.ports import StepCall
from domain.lease import Lease
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.timers import sortable

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS step_calls (id TEXT PRIMARY KEY, service TEXT NOT NULL, tenant TEXT NOT NULL,"
    " dispatched_at TEXT NOT NULL, call BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS step_calls_lanes ON step_calls (service, tenant, dispatched_at, id)",
)

INSERT = "INSERT OR REPLACE INTO step_calls VALUES (?, ?, ?, ?, ?)"
"""Takes a :func:`row_of`."""

_call = msgspec.json.Decoder(StepCall)


class SqliteStepCalls:
    """The calls, in the file of the timers."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def create(self) -> None:
        """Create the table if it is missing."""
        await self._database.execute(*_SCHEMA)

    async def change(self, *, add: Sequence[StepCall], remove: Sequence[str], lease: Lease) -> None:
        """Add and remove calls, all of them or none."""
        rows = [row_of(call) for call in add]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(INSERT, rows)
            connection.executemany("DELETE FROM step_calls WHERE id = ?", [(id,) for id in remove])

        await self._database.write(write)

    async def waiting(self, *, each: int, besides: Collection[str]) -> Sequence[StepCall]:
        """Return up to ``each`` calls per tenant and service, the oldest first, without the ids
        ``besides``."""
        excluded = msgspec.json.encode(list(besides)).decode()

        def select(connection: sqlite3.Connection) -> list[StepCall]:
            lanes = connection.execute("SELECT DISTINCT service, tenant FROM step_calls").fetchall()
            return [
                _call.decode(row[0])
                for service, tenant in lanes
                for row in connection.execute(
                    "SELECT call FROM step_calls WHERE service = ? AND tenant = ?"
                    " AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY dispatched_at, id LIMIT ?",
                    (service, tenant, excluded, each),
                )
            ]

        return await self._database.read(select)


def row_of(call: StepCall) -> tuple[str, str, str, str, bytes]:
    """Return a call as a row of the table."""
    moment = sortable(call.dispatched_at)
    return call.id, call.service, call.meta.tenant, moment, msgspec.json.encode(call)
