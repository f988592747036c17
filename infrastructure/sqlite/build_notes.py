"""Reads what is being built in a file, and which generations are live there."""

import sqlite3
from contextlib import closing
from pathlib import Path

from infrastructure.sqlite.database import SqliteDatabase, failures_translated
from infrastructure.sqlite.generations import Build, builds, keep_generations, live_generation


class SqliteBuildNotes:
    """Reads the notes of a rebuild, whichever process does it."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def create(self) -> None:
        """Create the tables if they are missing."""
        await self._database.write(keep_generations)

    async def builds(self) -> dict[str, Build]:
        """Return what is being built, or was left unfinished, by container."""
        return await self._database.read(lambda connection: builds(connection) if _known(connection) else {})

    async def generation(self, container: str) -> int:
        """Return the number of the live generation."""
        return await self._database.read(
            lambda connection: live_generation(connection, container) if _known(connection) else 1
        )


def builds_in(path: Path) -> dict[str, Build]:
    """Return what is being built in a file, or nothing if there is no file."""
    if not path.exists():
        return {}
    with failures_translated(path), closing(sqlite3.connect(path)) as connection:
        return builds(connection) if _known(connection) else {}


def _known(connection: sqlite3.Connection) -> bool:
    select = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'builds'"
    return connection.execute(select).fetchone() is not None
