"""Writes a whole log into SQLite, all or none.

Two files are committed one after the other, that of the events last. Positions and timers without a log do no
harm, but a log without positions would publish every past message again.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from anyio.to_thread import run_sync
from eventsourcing.persistence import PersistenceError

from application.event_log import EventLog
from application.log_copy import CannotCopy, Entry, FollowerPosition, KeptAnchor
from application.ports import StepCall, Timer
from domain.errors import StoreUnavailable
from infrastructure.sqlite.anchor_book import SqliteAnchorBook
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.event_store import followers_file, sqlite_log_settings
from infrastructure.sqlite.log_reader import SqliteLogReader, failures_at
from infrastructure.sqlite.step_calls import INSERT, SqliteStepCalls, row_of
from infrastructure.sqlite.timers import SqliteTimers, sortable


class SqliteLogWriter:
    """Writes in the transactions of two connections: one to the log, one to the followers' file beside it."""

    leaves_a_half = False

    def __init__(self, path: Path, log: sqlite3.Connection, followers: sqlite3.Connection) -> None:
        self._path = path
        self._log = log
        self._followers = followers
        self.written = SqliteLogReader(path, log, followers)

    async def begin(self) -> int:
        """Return how many events there are already."""
        return await self.written.count()

    async def put_events(self, batches: AsyncIterator[Sequence[Entry]]) -> None:
        """Write events under their own ids."""
        statement = (
            "INSERT INTO stored_events (rowid, originator_id, originator_version, topic, state)"
            " VALUES (?, ?, ?, ?, ?)"
        )
        async for batch in batches:
            await self._insert(self._log, statement, [msgspec.structs.astuple(entry) for entry in batch])

    async def put_positions(self, positions: Sequence[FollowerPosition]) -> None:
        """Write positions. They replace those that are there."""
        statement = "INSERT INTO follower_positions (follower, partition, position) VALUES (?, ?, ?)"
        await self._insert(self._followers, "DELETE FROM follower_positions", [()])
        await self._insert(self._followers, statement, [msgspec.structs.astuple(each) for each in positions])

    async def put_timers(self, batches: AsyncIterator[Sequence[Timer]]) -> None:
        """Write timers. They replace those that are there."""
        statement = "INSERT INTO timers (id, due_at, timer) VALUES (?, ?, ?)"
        await self._insert(self._followers, "DELETE FROM timers", [()])
        async for batch in batches:
            rows = [(timer.id, sortable(timer.due_at), msgspec.json.encode(timer)) for timer in batch]
            await self._insert(self._followers, statement, rows)

    async def put_step_calls(self, batches: AsyncIterator[Sequence[StepCall]]) -> None:
        """Write the calls of steps. They replace those that are there."""
        await self._insert(self._followers, "DELETE FROM step_calls", [()])
        async for batch in batches:
            await self._insert(self._followers, INSERT, [row_of(call) for call in batch])

    async def put_anchors(self, anchors: Sequence[KeptAnchor]) -> None:
        """Write anchors. They replace those that are there."""
        statement = "INSERT INTO audit_anchors (tenant, sequence, anchor, is_out) VALUES (?, ?, ?, ?)"
        await self._insert(self._followers, "DELETE FROM audit_anchors", [()])
        await self._insert(self._followers, statement, [msgspec.structs.astuple(each) for each in anchors])

    async def finish(self) -> None:
        """Do nothing: the next event gets the highest id plus one, and the folder is ours alone."""

    async def _insert(
        self, connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        with failures_at(self._path):
            await run_sync(connection.executemany, statement, rows)


@asynccontextmanager
async def write_sqlite_log(path: Path) -> AsyncIterator[SqliteLogWriter]:
    """Yield a writer in one transaction on a log, which is committed at the end of the block. Missing files
    are created.

    The caller has claimed the folder.

    Raises:
        CannotCopy: the files cannot be created or opened, or are something else.
    """
    await _make_tables(path)
    with ExitStack() as stack:
        with failures_at(path):
            log, followers = (stack.enter_context(_opened(each)) for each in (path, followers_file(path)))
        yield SqliteLogWriter(path, log, followers)
        with failures_at(path):
            await run_sync(followers.execute, "COMMIT")
            await run_sync(log.execute, "COMMIT")


async def _make_tables(path: Path) -> None:
    """Create the tables as a service does at its start."""
    try:
        log = await run_sync(EventLog, sqlite_log_settings(path))
        log.close()
        followers = SqliteDatabase(followers_file(path), synchronous="FULL")
        try:
            await SqliteCheckpoints(followers).create()
            await SqliteTimers(followers).create()
            await SqliteStepCalls(followers).create()
            await SqliteAnchorBook(followers).create()
        finally:
            followers.close()
    except (PersistenceError, sqlite3.Error, StoreUnavailable) as error:
        raise CannotCopy(f"{path}: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closing(connection):
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        yield connection
