"""The last anchors in SQLite, in the file of the timers, so that deleting the index does not delete them."""

import sqlite3
from collections.abc import Sequence

import msgspec

from application.audit.anchors import Anchor
from domain.lease import Lease
from infrastructure.sqlite.database import SqliteDatabase

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS audit_anchors (tenant TEXT PRIMARY KEY, sequence INTEGER NOT NULL,"
    " anchor BLOB NOT NULL, is_out INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS audit_anchors_waiting ON audit_anchors (tenant) WHERE NOT is_out",
)

_anchor = msgspec.json.Decoder(Anchor)


class SqliteAnchorBook:
    """The anchors of every tenant."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def create(self) -> None:
        """Create the table if it is missing."""
        await self._database.execute(*_SCHEMA)

    async def last(self) -> Sequence[Anchor]:
        """Return the last anchor of each tenant."""
        return await self._select("SELECT anchor FROM audit_anchors")

    async def of(self, tenant: str) -> Anchor | None:
        """Return the last anchor of a tenant, if it has one."""
        found = await self._select("SELECT anchor FROM audit_anchors WHERE tenant = ?", tenant)
        return found[0] if found else None

    async def waiting(self) -> Sequence[Anchor]:
        """Return the last anchors that are not known to be published."""
        return await self._select("SELECT anchor FROM audit_anchors WHERE NOT is_out ORDER BY tenant")

    async def keep(self, anchors: Sequence[Anchor], lease: Lease) -> None:
        """Store each anchor as its tenant's last one, not yet published. All are stored, or none."""
        rows = [(each.tenant_id, each.sequence, msgspec.json.encode(each)) for each in anchors]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO audit_anchors VALUES (?, ?, ?, FALSE)", rows)

        await self._database.write(write)

    async def note_out(self, anchors: Sequence[Anchor], lease: Lease) -> None:
        """Note that these anchors are published."""
        rows = [(each.tenant_id, each.sequence) for each in anchors]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "UPDATE audit_anchors SET is_out = TRUE WHERE tenant = ? AND sequence = ?", rows
            )

        await self._database.write(write)

    async def _select(self, statement: str, *values: str) -> Sequence[Anchor]:
        def select(connection: sqlite3.Connection) -> list[Anchor]:
            return [_anchor.decode(row[0]) for row in connection.execute(statement, values)]

        return await self._database.read(select)
