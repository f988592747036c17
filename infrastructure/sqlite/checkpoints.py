"""Followers' positions in SQLite. One process has the file for itself, so leases are not checked."""

import sqlite3
from collections.abc import Mapping, Sequence

from domain.lease import Lease
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.many_rows import insertions

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS follower_positions"
    " (follower TEXT NOT NULL, partition TEXT NOT NULL, position TEXT NOT NULL,"
    " PRIMARY KEY (follower, partition)) WITHOUT ROWID"
)

_SAVE = "INSERT OR REPLACE INTO follower_positions (follower, partition, position)"


class SqliteCheckpoints:
    """Positions beside the documents or beside the log, depending on the file."""

    passed_seconds = 1.0

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def create(self) -> None:
        """Create the table if it is missing."""
        await self._database.execute(_SCHEMA)

    async def load(self, follower: str, partition: str, lease: Lease) -> str | None:
        """Return the position after the last event handled, or None before the first."""

        def select(connection: sqlite3.Connection) -> str | None:
            row = connection.execute(
                "SELECT position FROM follower_positions WHERE follower = ? AND partition = ?",
                (follower, partition),
            ).fetchone()
            return None if row is None else str(row[0])

        return await self._database.read(select)

    async def load_all(
        self, follower: str, partitions: Sequence[str], lease: Lease
    ) -> Mapping[str, str | None]:
        """Return the position in each of some partitions. A log in SQLite has one partition."""
        return {partition: await self.load(follower, partition, lease) for partition in partitions}

    async def save(self, follower: str, partition: str, position: str, lease: Lease) -> None:
        """Save a position."""
        await self.save_all(follower, {partition: position}, lease)

    async def save_all(self, follower: str, positions: Mapping[str, str], lease: Lease) -> None:
        """Save the position in each of some partitions, in one transaction."""
        rows = [(follower, partition, position) for partition, position in positions.items()]
        await self._database.carry_out(insertions(_SAVE, rows))

    async def forget(self, follower: str, partitions: Sequence[str], lease: Lease) -> None:
        """Delete the positions in some partitions, so that the follower begins again at the first event."""
        await self._database.write(
            lambda connection: connection.executemany(
                "DELETE FROM follower_positions WHERE follower = ? AND partition = ?",
                [(follower, partition) for partition in partitions],
            )
        )
