"""Reads a whole log from SQLite, with the data beside it."""

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager, closing, contextmanager
from itertools import islice
from os.path import isfile
from pathlib import Path
from typing import Any, TypeVar

from anyio.to_thread import run_sync

from application.log_batches import BATCH_BYTES, taken
from application.log_copy import (
    CannotCopy,
    Entry,
    FollowerPosition,
    KeptAnchor,
    entries_of,
    step_calls_of,
    timers_of,
)
from application.ports import StepCall, Timer
from infrastructure.sqlite.event_store import followers_file

_BATCH = 500

T = TypeVar("T")


class SqliteLogReader:
    """Reads in the transactions of two connections: one to the log, one to the followers' file beside it."""

    def __init__(self, path: Path, log: sqlite3.Connection, followers: sqlite3.Connection) -> None:
        self._path = path
        self._log = log
        self._followers = followers

    async def count(self) -> int:
        """Return how many events there are."""
        statement = "SELECT count(*) FROM stored_events"
        (row,) = await self._run(lambda: self._log.execute(statement).fetchall())
        return int(row[0])

    async def events(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Yield every event, ordered by id."""
        statement = (
            "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events ORDER BY rowid"
        )
        async with aclosing(self._batches(self._log, statement)) as batches:
            async for rows in batches:
                yield entries_of(rows, str(self._path))

    async def positions(self) -> Sequence[FollowerPosition]:
        """Return every position, ordered by follower and partition."""
        statement = (
            "SELECT follower, partition, position FROM follower_positions ORDER BY follower, partition"
        )
        rows = await self._run(lambda: self._followers.execute(statement).fetchall())
        return [FollowerPosition(*row) for row in rows]

    async def timers(self) -> AsyncGenerator[Sequence[Timer], None]:
        """Yield every timer, ordered by id."""
        statement = "SELECT timer FROM timers ORDER BY id"
        async with aclosing(self._batches(self._followers, statement)) as batches:
            async for rows in batches:
                yield timers_of((row[0] for row in rows), str(self._path))

    async def step_calls(self) -> AsyncGenerator[Sequence[StepCall], None]:
        """Yield every call, ordered by id. An older release has no table of calls."""
        known = "SELECT 1 FROM sqlite_master WHERE name = 'step_calls'"
        if not await self._run(lambda: self._followers.execute(known).fetchall()):
            return
        async with aclosing(
            self._batches(self._followers, "SELECT call FROM step_calls ORDER BY id")
        ) as batches:
            async for rows in batches:
                yield step_calls_of((row[0] for row in rows), str(self._path))

    async def anchors(self) -> Sequence[KeptAnchor]:
        """Return the last anchor of each tenant. A service that signs none has no table of anchors."""
        known = "SELECT 1 FROM sqlite_master WHERE name = 'audit_anchors'"
        if not await self._run(lambda: self._followers.execute(known).fetchall()):
            return []
        statement = "SELECT tenant, sequence, anchor, is_out FROM audit_anchors ORDER BY tenant"
        rows = await self._run(lambda: self._followers.execute(statement).fetchall())
        return [KeptAnchor(tenant, number, anchor, bool(is_out)) for tenant, number, anchor, is_out in rows]

    async def finish(self) -> None:
        """Do nothing: one transaction has read it all, and nobody could append meanwhile."""

    async def _batches(
        self, connection: sqlite3.Connection, statement: str
    ) -> AsyncGenerator[list[tuple[Any, ...]], None]:
        cursor = await self._run(lambda: connection.execute(statement))
        while rows := await self._run(lambda: taken(islice(cursor, _BATCH), _size, BATCH_BYTES)):
            yield rows

    async def _run(self, work: Callable[[], T]) -> T:
        with failures_at(self._path):
            return await run_sync(work)


def _size(row: tuple[Any, ...]) -> int:
    """Return the size of the last column, which holds the content. It may be damaged."""
    return len(row[-1]) if isinstance(row[-1], bytes | str) else 0


@asynccontextmanager
async def read_sqlite_log(path: Path) -> AsyncIterator[SqliteLogReader]:
    """Yield a reader of one state of a log. Its files are not written to, and not created if they are
    missing.

    Raises:
        CannotCopy: there is no such log, or the file of its followers is missing.
    """
    with ExitStack() as stack:
        log, followers = (stack.enter_context(_opened(each)) for each in (path, followers_file(path)))
        yield SqliteLogReader(path, log, followers)


@contextmanager
def failures_at(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as ours, with the file that they are about."""
    try:
        yield
    except sqlite3.Error as error:
        raise CannotCopy(f"{path}: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with failures_at(path):
        if not isfile(path):
            raise CannotCopy(f"there is no {path}")
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
    with closing(connection):
        with failures_at(path):
            connection.execute("BEGIN")
        yield connection
