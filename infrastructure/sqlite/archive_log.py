"""Replaces events of a log in SQLite by what archiving leaves of them. The folder is claimed: nobody appends.

The file does not become smaller, and VACUUM must not be used: it gives new ids to rows without a key of their
own, and ids are the log's order. The next appends use the free space. ``copy-log`` to another file makes a
small one, with the same ids.
"""

import sqlite3
from collections.abc import Sequence

from application.archive.ports import Replacement
from application.event_log import number_of
from application.snapshots import SnapshotStore
from infrastructure.sqlite.database import SqliteDatabase

_GOES_ON = "SELECT 1 FROM stored_events WHERE originator_id = ? AND originator_version = ?"
_UPDATE = (
    "UPDATE stored_events SET state = ?"
    " WHERE rowid = ? AND originator_id = ? AND originator_version = ? AND state = ?"
)


class SqliteFollowers:
    """The followers whose positions are in some files."""

    def __init__(self, files: Sequence[SqliteDatabase]) -> None:
        self._files = files

    async def handled_until(self, partition: str) -> tuple[int, str] | None:
        """Return the id that all of them have reached in a partition, and the follower that is furthest
        behind."""

        def select(connection: sqlite3.Connection) -> list[tuple[str, str]]:
            known = "SELECT 1 FROM sqlite_master WHERE name = 'follower_positions'"
            if connection.execute(known).fetchone() is None:
                return []
            select = "SELECT position, follower FROM follower_positions WHERE partition = ?"
            return connection.execute(select, (partition,)).fetchall()

        found = [row for file in self._files for row in await file.read(select)]
        return min(((number_of(position), follower) for position, follower in found), default=None)


class SqliteArchiveLog:
    """Uses the log's file and the files that hold followers' positions."""

    at_once = 500

    def __init__(self, log: SqliteDatabase, positions: SqliteFollowers, snapshots: SnapshotStore) -> None:
        self._log = log
        self._positions = positions
        self._snapshots = snapshots

    async def handled_until(self, partition: str) -> tuple[int, str] | None:
        """Return the id that every follower has reached, and the name of the follower that is furthest
        behind."""
        return await self._positions.handled_until(partition)

    async def replace(self, replacements: Sequence[Replacement], ends: Sequence[tuple[str, int]]) -> bool:
        """Replace the states of events, all of them or none."""

        def write(connection: sqlite3.Connection) -> bool:
            for stream, version in ends:
                if connection.execute(_GOES_ON, (stream, version + 1)).fetchone():
                    return False
            for each in replacements:
                was = each.entry
                values = (each.state, was.id, was.stream, was.version, was.state)
                if connection.execute(_UPDATE, values).rowcount != 1:
                    raise _NotAsItWas
            return True

        try:
            was_done = await self._log.write(write)
        except _NotAsItWas:
            return False
        known = self._snapshots.versions() if was_done else {}
        for stream in known.keys() & {stream for stream, _ in ends}:
            self._snapshots.forget(stream)
        return was_done

    async def tidy(self) -> str | None:
        """Do nothing: see the module."""
        return None


class _NotAsItWas(Exception):
    """Raised to roll the transaction back."""
