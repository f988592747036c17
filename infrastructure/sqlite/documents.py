"""Documents in SQLite: a table a container, JSON text under (tenant, id)."""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from application.log_batches import page_of
from infrastructure.sqlite.counts import drop_counts, forget_common_counts, is_kept, keep_counts
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.lists import drop_lists, keep_lists
from infrastructure.sqlite.many_rows import insertions
from infrastructure.sqlite.pages import Row, rows_of
from infrastructure.sqlite.tables import keep_table
from infrastructure.sqlite.totals import total_of
from projections.ports import Container, Document, Page, Query, Replacement

_FEW_KEYS = 4
_SHORT = 100
"""The most documents of a page that is read on the calling thread, if its bytes are bounded too."""

_PAGE = 1_000
_CACHE_KIB = 16_384
_CHECKPOINT_PAGES = 4_096
"""Documents are inserted all over the indexes. Behind 10,000 of them, with SQLite's 2 MB and 1,000 pages, a
thousand more cost 1.6 times the CPU and 5 times the reads and writes."""


class SqliteDocuments:
    """The documents of the embedded mode."""

    keeps_text = True

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def create(self, containers: Sequence[Container]) -> None:
        """Make the tables and indexes that are missing."""

        def make(connection: sqlite3.Connection) -> None:
            forget_common_counts(connection, containers)
            for container in containers:
                keep_table(connection, container)
                keep_counts(connection, container)
                keep_lists(connection, container)

        await self._database.write(make)
        await self._database.tune(cache_kib=_CACHE_KIB, checkpoint_pages=_CHECKPOINT_PAGES)

    async def get(self, container: Container, tenant: str, id: str) -> Document | None:
        """One document of a tenant."""
        statement = f'SELECT version, CAST(body AS BLOB) FROM "{container.name}" WHERE tenant = ? AND id = ?'
        row = self._database.read_here(
            lambda connection: connection.execute(statement, (tenant, id)).fetchone()
        )
        return None if row is None else Document(tenant, id, row[0], row[1])

    async def get_many(
        self, container: Container, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Document]:
        """Those of the (tenant, id) keys that exist. Few are looked up on this very thread."""
        statement, wanted = by_keys(container), msgspec.json.encode(keys).decode()
        if len(keys) <= _FEW_KEYS:
            rows = self._database.read_here(lambda reader: reader.execute(statement, [wanted]).fetchall())
        else:
            rows = await self._database.select(statement, wanted)
        return {(row[0], row[1]): Document(*row) for row in rows}

    async def put(self, container: Container, documents: Sequence[Document]) -> None:
        """Write documents; one that is there at the same or a later version stays as it is."""
        into = f'INSERT INTO "{container.name}" (tenant, id, version, body)'
        if_later = (
            "ON CONFLICT (tenant, id) DO UPDATE SET version = excluded.version, body = excluded.body"
            f' WHERE excluded.version > "{container.name}".version'
        )
        rows = [(each.tenant, each.id, each.version, each.body.decode()) for each in documents]
        await self._database.carry_out(insertions(into, rows, if_later, weigh=_size_of_body))

    async def replace(
        self, container: Container, replacements: Mapping[tuple[str, str], Replacement]
    ) -> set[tuple[str, str]]:
        """Replace, make or take away what is still as it was found; the keys of what is not. No file has what
        was replaced any more: it may have been erased.
        """
        place = f'"{container.name}" WHERE tenant = ? AND id = ?'

        def replace(connection: sqlite3.Connection) -> set[tuple[str, str]]:
            left = set[tuple[str, str]]()
            for key, (found, right) in replacements.items():
                row = connection.execute(f"SELECT version, CAST(body AS BLOB) FROM {place}", key).fetchone()
                if (None if row is None else Document(*key, *row)) != found:
                    left.add(key)
                    continue
                if right == found:
                    continue
                connection.execute(f"DELETE FROM {place}", key)
                if right is not None:
                    connection.execute(
                        f'INSERT INTO "{container.name}" (tenant, id, version, body) VALUES (?, ?, ?, ?)',
                        (*key, right.version, right.body.decode()),
                    )
            return left

        left = await self._database.write(replace)
        await self._database.overwrite_freed()
        return left

    async def query(self, container: Container, tenant: str, query: Query) -> Page:
        """A page of a tenant's documents, the newest first unless the query says otherwise. If it is a short
        walk along an index, it is read on this very thread."""

        def select(connection: sqlite3.Connection) -> Page:
            total = total_of(connection, container, tenant, query) if query.counted else 0
            rows = rows_of(connection, container, tenant, query)
            shown, more = page_of(rows, query.limit, _size, query.room)
            return Page(
                tuple(Document(tenant, row[0], row[1], row[2]) for row in shown),
                total if query.counted else len(shown),
                (shown[-1][3], shown[-1][0]) if more else None,
            )

        if _is_short(container, query):
            return self._database.read_here_at_once(select)
        return await self._database.read(select)

    async def scan(self, container: Container, tenants: Sequence[str]) -> AsyncIterator[Sequence[Document]]:
        """Every document of every tenant, in the order of the keys."""
        statement = (
            f'SELECT tenant, id, version, CAST(body AS BLOB) FROM "{container.name}"'
            " WHERE (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?"
        )
        after = ("", "")

        def select(connection: sqlite3.Connection) -> list[Document]:
            return [Document(*row) for row in connection.execute(statement, (*after, _PAGE))]

        while page := await self._database.read(select):
            yield page
            after = (page[-1].tenant, page[-1].id)

    async def clear(self, container: Container) -> None:
        """Delete every document of a container."""

        def delete(connection: sqlite3.Connection) -> None:
            drop_lists(connection, container)
            drop_counts(connection, container)
            connection.execute(f'DELETE FROM "{container.name}"')
            keep_lists(connection, container)
            keep_counts(connection, container)

        await self._database.write(delete)

    async def ping(self) -> None:
        """Ask the file for an answer."""
        await self._database.read(lambda connection: connection.execute("SELECT 1").fetchone())


def _is_short(container: Container, query: Query) -> bool:
    """Return whether a page is a walk along an index over no more documents than it shows, with a number that
    is kept, and of bounded size."""
    is_bounded = query.limit <= _SHORT and query.room is not None
    return is_bounded and is_kept(container, query) and not query.any_of and not query.none_of


def by_keys(container: Container) -> str:
    """The statement that looks up each of the keys in turn.

    For ``(tenant, id) IN (VALUES …)`` with four keys or more, SQLite reads the whole table.
    """
    return (
        "SELECT document.tenant, document.id, version, CAST(body AS BLOB) FROM json_each(?) AS key"
        f' CROSS JOIN "{container.name}" AS document'
        " ON document.tenant = key.value ->> 0 AND document.id = key.value ->> 1"
    )


def _size(row: Row) -> int:
    return len(row[2])


def _size_of_body(row: Sequence[Any]) -> int:
    return len(row[3])
