"""Builds documents in tables of their own, beside the live ones, until they replace those.

One transaction writes documents and the position that they lead to. So a build that is killed can be
continued from there.
"""

import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import msgspec
from anyio.to_thread import run_sync

from infrastructure.sqlite.counts import steps_to_counts
from infrastructure.sqlite.database import failures_translated
from infrastructure.sqlite.documents import by_keys
from infrastructure.sqlite.generations import (
    build_of,
    forget_build,
    keep_generations,
    leftovers,
    make_live,
    note_build,
)
from infrastructure.sqlite.lists import steps_to_lists
from infrastructure.sqlite.tables import Step, execute, make_table, steps_to_indexes
from projections.building import Progress
from projections.ports import Container, Document

T = TypeVar("T")
Key = tuple[str, str]

_LOCK_TIMEOUT_SECONDS = 30.0
_ROWS_A_STATEMENT = 500
"""While a statement runs, other threads can use the interpreter. So long statements are better than short
ones."""

_LONGEST_HELD_SECONDS = 1.0
_TURN_SECONDS = 0.15
"""SQLite tells nobody that a file is free: a waiting writer looks every 100 ms."""

_CACHE_KIB = 64 * 1024


class SqliteBuilds:
    """The next generation of some containers, in the file of the live ones or in one of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, Container] = {}
        self._numbers: dict[str, int] = {}
        self._writer = _connected(path)
        self._reader = _connected(path)
        self._turn = anyio.CapacityLimiter(1)
        self._reader_turn = anyio.CapacityLimiter(1)
        self._is_locked = False
        self._held_seconds = 0.0

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
        self._writer.close()

    async def begin(
        self, containers: Sequence[Container], recipe: str, *, anew: bool = False
    ) -> Mapping[str, Progress | None]:
        """Create the tables, or find those that an unfinished build by the same ``recipe`` has left.

        The tables of other recipes, and what an earlier swap has left behind, are dropped. With ``anew``
        everything unfinished is dropped.
        """

        def make(connection: sqlite3.Connection) -> dict[str, Progress | None]:
            keep_generations(connection)
            found: dict[str, Progress | None] = {}
            for container in containers:
                build = build_of(connection, container, recipe)
                place = msgspec.structs.replace(container, name=build.table)
                self._places[container.name], self._numbers[container.name] = place, build.generation
                found[container.name] = build.progress
                make_table(connection, place)
            return found

        for container in containers:
            if anew:
                await self.write_in(partial(_forgotten, container))
            await self._drop_leftovers(container, recipe)
        return await self.write_in(make)

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def places(self) -> Sequence[Container]:
        """The containers in which documents are being built."""
        return list(self._places.values())

    def place_of(self, container: Container) -> Container:
        """Return the container in which documents of a container are being built."""
        return self._places[container.name]

    def generation_of(self, container: Container) -> int:
        """Return the number of the generation that is being built."""
        return self._numbers[container.name]

    async def get_many(self, container: Container, keys: Sequence[Key]) -> dict[Key, Document]:
        """Return the documents of those (tenant, id) keys that have been built."""
        return await self.read_in(partial(_select, self._places[container.name], keys))

    async def write(
        self,
        made: Mapping[str, Sequence[Document]],
        progress: Progress,
        remade: Mapping[str, Sequence[Document]],
    ) -> None:
        """Write documents of each container, and how far all of them have come."""

        def put(connection: sqlite3.Connection) -> None:
            for name, documents in made.items():
                _put(connection, self._places[name], documents)
            for name, documents in remade.items():
                table = self._places[name].name
                statement = f'UPDATE "{table}" SET body = ? WHERE tenant = ? AND id = ?'
                rows = [(each.body.decode(), each.tenant, each.id) for each in documents if each.body]
                connection.executemany(statement, rows)
                gone = [(each.tenant, each.id) for each in documents if not each.body]
                connection.executemany(f'DELETE FROM "{table}" WHERE tenant = ? AND id = ?', gone)
            for name in self._places:
                note_build(connection, name, progress)

        await self.write_in(put)

    async def index(self) -> None:
        """Create indexes, lists and counts step by step, so that no other writer waits long."""
        for place in self.places:
            for steps_to in (steps_to_indexes, steps_to_lists, steps_to_counts):
                for step in await self.read_in(partial(_steps, steps_to, place)):
                    await self._take_a_turn(step)

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Lock out all other writers until the end of the block, where everything takes effect at once."""
        await self._run(lambda: self._writer.execute("BEGIN IMMEDIATE"))
        self._is_locked = True
        try:
            yield
            await self._run(self._writer.commit)
        except BaseException:
            self._writer.rollback()
            raise
        finally:
            self._is_locked = False

    async def go_live(self, positions: Mapping[str, str]) -> None:
        """Replace the live generation by what was built. The caller holds :meth:`locked`, and the old one is
        dropped later."""

        def swap(connection: sqlite3.Connection) -> None:
            for name, place in self._places.items():
                make_live(connection, msgspec.structs.replace(place, name=name), place.name)
                connection.executemany(
                    "INSERT OR REPLACE INTO follower_positions (follower, partition, position)"
                    " VALUES (?, ?, ?)",
                    [(name, partition, position) for partition, position in positions.items()],
                )

        await self.write_in(swap)

    async def tidy(self, recipe: str) -> None:
        """Drop the generations that are no longer live."""
        for name, place in self._places.items():
            await self._drop_leftovers(msgspec.structs.replace(place, name=name), recipe)

    async def throw_away(self, containers: Sequence[Container]) -> None:
        """Drop everything that was built of some containers and is not live. Nothing of it stays in the
        file."""
        for container in containers:
            await self.write_in(partial(_forgotten, container))
            await self._drop_leftovers(container, "")

    async def _drop_leftovers(self, container: Container, recipe: str) -> None:
        for statement in await self.write_in(lambda connection: leftovers(connection, container, recipe)):
            await self._take_a_turn(partial(execute, statement))

    async def _take_a_turn(self, step: Step) -> None:
        """Do one of many long steps. Between steps, other writers get a turn."""
        began = time.monotonic()
        await self.write_in(step)
        self._held_seconds += time.monotonic() - began
        if self._held_seconds > _LONGEST_HELD_SECONDS:
            self._held_seconds = 0.0
            await anyio.sleep(_TURN_SECONDS)

    async def write_in(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in a transaction: in that of :meth:`locked` if there is one."""

        def transaction() -> T:
            if self._is_locked:
                return work(self._writer)
            with self._writer:
                self._writer.execute("BEGIN IMMEDIATE")
                return work(self._writer)

        return await self._run(transaction)

    async def read_in(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` beside what is being written."""
        if self._is_locked:
            return await self._run(lambda: work(self._writer))

        def read() -> T:
            with failures_translated(self._path):
                return work(self._reader)

        return await run_sync(read, limiter=self._reader_turn)

    async def _run(self, work: Callable[[], T]) -> T:
        def translated() -> T:
            with failures_translated(self._path):
                return work()

        return await run_sync(translated, limiter=self._turn)


class SqliteBuilt:
    """Reads what another process builds. A process that folds a share of it, and has dropped some documents,
    uses this."""

    def __init__(self, path: Path, places: Sequence[tuple[str, Container]]) -> None:
        self._path = path
        self._places = dict(places)
        self._connection = _connected(path)
        self._turn = anyio.CapacityLimiter(1)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    async def get_many(self, container: Container, keys: Sequence[Key]) -> dict[Key, Document]:
        """Return the documents of those (tenant, id) keys that have been built."""

        def select() -> dict[Key, Document]:
            with failures_translated(self._path):
                return _select(self._places[container.name], keys, self._connection)

        return await run_sync(select, limiter=self._turn)


def _connected(path: Path) -> sqlite3.Connection:
    with failures_translated(path):
        connection = sqlite3.connect(
            path, timeout=_LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    return connection


def _select(place: Container, keys: Sequence[Key], connection: sqlite3.Connection) -> dict[Key, Document]:
    rows = connection.execute(by_keys(place), [msgspec.json.encode(keys).decode()])
    return {(row[0], row[1]): Document(*row) for row in rows}


def _steps(
    steps_to: Callable[[sqlite3.Connection, Container], list[Step]],
    place: Container,
    connection: sqlite3.Connection,
) -> list[Step]:
    return steps_to(connection, place)


def _forgotten(container: Container, connection: sqlite3.Connection) -> None:
    keep_generations(connection)
    forget_build(connection, container)


def _put(connection: sqlite3.Connection, place: Container, documents: Sequence[Document]) -> None:
    for start in range(0, len(documents), _ROWS_A_STATEMENT):
        rows = documents[start : start + _ROWS_A_STATEMENT]
        values = [value for row in rows for value in (row.tenant, row.id, row.version, row.body.decode())]
        connection.execute(
            f'INSERT INTO "{place.name}" (tenant, id, version, body)'
            f" VALUES {', '.join(['(?, ?, ?, ?)'] * len(rows))}"
            " ON CONFLICT (tenant, id) DO UPDATE SET version = excluded.version, body = excluded.body"
            f' WHERE excluded.version > "{place.name}".version',
            values,
        )
