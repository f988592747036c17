"""A file for documents that nobody reads: they are built there to be compared with the live ones."""

import sqlite3
from collections.abc import Sequence

import msgspec

from infrastructure.sqlite.builds import Key, SqliteBuilds
from projections.ports import Container, Document


class SqliteScratch(SqliteBuilds):
    """Builds that remember which documents were compared."""

    async def tenants(self) -> Sequence[str]:
        """Return all tenants that have a document there."""

        def select(connection: sqlite3.Connection) -> list[str]:
            found: set[str] = set()
            for place in self.places:
                found.update(
                    row[0] for row in connection.execute(f'SELECT DISTINCT tenant FROM "{place.name}"')
                )
            return sorted(found)

        return await self.read_in(select)

    async def forget_held(self, container: Container) -> None:
        """Note that no document of a container has been compared."""

        def forget(connection: sqlite3.Connection) -> None:
            connection.execute(f"DROP TABLE IF EXISTS {self._held(container)}")
            connection.execute(
                f"CREATE TABLE {self._held(container)} (tenant TEXT NOT NULL, id TEXT NOT NULL,"
                " PRIMARY KEY (tenant, id)) WITHOUT ROWID"
            )

        await self.write_in(forget)

    async def note_held(self, container: Container, keys: Sequence[Key]) -> None:
        """Note that these documents have been compared."""
        statement = (
            f"INSERT OR IGNORE INTO {self._held(container)} SELECT value ->> 0, value ->> 1 FROM json_each(?)"
        )
        given = [msgspec.json.encode(keys).decode()]
        await self.write_in(lambda connection: connection.execute(statement, given))

    async def not_held(self, container: Container, after: Key | None, limit: int) -> list[Document]:
        """Return up to ``limit`` documents that have not been compared, ordered by key."""
        statement = (
            f"SELECT tenant, id, version, CAST(body AS BLOB) FROM"
            f' "{self.place_of(container).name}" AS built WHERE (tenant, id) > (?, ?) AND NOT EXISTS'
            f" (SELECT 1 FROM {self._held(container)} AS held"
            " WHERE held.tenant = built.tenant AND held.id = built.id) ORDER BY tenant, id LIMIT ?"
        )

        def select(connection: sqlite3.Connection) -> list[Document]:
            return [Document(*row) for row in connection.execute(statement, (*(after or ("", "")), limit))]

        return await self.read_in(select)

    def _held(self, container: Container) -> str:
        return f'"{self.place_of(container).name}_held"'
