"""One SQLite file: one writer and a few readers. Each use runs on a worker thread."""

import queue
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
from anyio.to_thread import run_sync

from application.descriptors import reason_of
from domain.errors import StoreFull, StoreUnavailable
from infrastructure.sqlite.many_rows import Statement

T = TypeVar("T")

Synchronous = Literal["FULL", "NORMAL"]

_READERS = 4
_LOCK_TIMEOUT_SECONDS = 5.0

_AWAY = (sqlite3.OperationalError, sqlite3.InterfaceError, sqlite3.InternalError)
"""The file cannot be used now. A plain ``DatabaseError`` says so too: the file is damaged, or is no
database."""

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
"""The second error means that not even the index of the write-ahead log has room."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY = 0xFF
"""The bits of SQLite's error code that say the kind of error. The others say where in SQLite it arose."""

_WHAT_TO_DO = "docs/runbooks/store-outage.md says for each file what to do: it may be derived data"


class SqliteDatabase:
    """Connections to one file in WAL mode.

    ``synchronous`` NORMAL may lose the last commits when the power fails, but never when the process crashes.
    That suits documents, which can be derived from the log again. A file that is only read is not created if
    it is missing.
    """

    def __init__(self, path: Path, *, synchronous: Synchronous, read_only: bool = False) -> None:
        self._path = path
        self._synchronous = synchronous
        self._read_only = read_only
        self._writer = self._connect()
        self._writer_turn = anyio.CapacityLimiter(1)
        self._reader_turn = anyio.CapacityLimiter(_READERS)
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        for _ in range(_READERS):
            self._readers.put(self._connect())
        self._here = self._connect()
        self._closed = False

    async def execute(self, *statements: str) -> None:
        """Execute statements in their order, all or none, to create missing tables."""

        def carry_out(connection: sqlite3.Connection) -> None:
            for statement in statements:
                connection.execute(statement)

        await self.write(carry_out)

    async def tune(self, *, cache_kib: int, checkpoint_pages: int) -> None:
        """Let the writer keep more pages in memory, and copy them from the write-ahead log to the file only
        when so many have come together. This suits rows that are inserted all over the indexes.

        The copies that undo a single statement stay in memory as well, and so would what is sorted for a new
        index, however large: call this after indexes have been created.
        """

        def set_pragmas() -> None:
            self._check_open()
            with failures_translated(self._path):
                self._writer.execute(f"PRAGMA cache_size=-{cache_kib}")
                self._writer.execute(f"PRAGMA wal_autocheckpoint={checkpoint_pages}")
                self._writer.execute("PRAGMA temp_store=MEMORY")

        await run_sync(set_pragmas, limiter=self._writer_turn)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in one transaction.

        Raises:
            StoreUnavailable: the file is locked for too long, full, gone or closed; nothing was written.
        """

        def transaction() -> T:
            self._check_open()
            with failures_translated(self._path), self._writer:
                self._writer.execute("BEGIN IMMEDIATE")
                return work(self._writer)

        return await run_sync(transaction, limiter=self._writer_turn)

    async def carry_out(self, statements: Sequence[Statement]) -> None:
        """Execute statements in their order, all or none. A single one runs without an explicit transaction.

        Raises:
            StoreUnavailable: as :meth:`write`.
        """

        def by_itself() -> None:
            self._check_open()
            with failures_translated(self._path):
                self._writer.execute(*statements[0])

        def one_by_one(connection: sqlite3.Connection) -> None:
            for statement in statements:
                connection.execute(*statement)

        self._check_open()
        if len(statements) == 1:
            await run_sync(by_itself, limiter=self._writer_turn)
        elif statements:
            await self.write(one_by_one)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on one snapshot.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        return await self._on_a_reader(lambda reader: _on_one_snapshot(reader, work))

    async def select(self, statement: str, *parameters: object) -> list[Any]:
        """Return the rows of one statement, which is a snapshot by itself.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        return await self._on_a_reader(lambda reader: reader.execute(statement, parameters).fetchall())

    def read_here(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a look-up by key on the calling thread: that costs less than a hop to another thread."""
        self._check_open()
        with failures_translated(self._path):
            return work(self._here)

    def read_here_at_once(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run some look-ups, or a short walk along an index, on one snapshot and on the calling thread."""
        return self.read_here(lambda reader: _on_one_snapshot(reader, work))

    async def overwrite_freed(self) -> None:
        """Remove copies of replaced data from the write-ahead log. If a reader prevents that for long, the
        next call does it, or the end of the process."""

        def checkpoint() -> None:
            self._check_open()
            with failures_translated(self._path):
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

        await run_sync(checkpoint, limiter=self._writer_turn)

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._close_readers()
        self._here.close()
        self._writer.close()

    async def _on_a_reader(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def use() -> T:
            self._check_open()
            try:
                connection = self._readers.get_nowait()
            except queue.Empty:
                raise self._is_closed() from None
            try:
                with failures_translated(self._path):
                    return work(connection)
            finally:
                self._readers.put(connection)
                if self._closed:
                    self._close_readers()

        return await run_sync(use, limiter=self._reader_turn)

    def _close_readers(self) -> None:
        """Close the idle readers. A thread that is still reading closes its own afterwards."""
        with suppress(queue.Empty):
            while True:
                self._readers.get_nowait().close()

    def _check_open(self) -> None:
        if self._closed:
            raise self._is_closed()

    def _is_closed(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self._path} is closed")

    def _connect(self) -> sqlite3.Connection:
        with failures_translated(self._path):
            mode = "ro" if self._read_only else "rwc"
            connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=_LOCK_TIMEOUT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            if self._read_only:
                return connection
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(f"PRAGMA synchronous={self._synchronous}")
                connection.execute("PRAGMA secure_delete=ON")
            except sqlite3.Error:
                connection.close()
                raise
        return connection


def _on_one_snapshot(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        connection.execute("COMMIT")


class failures_translated:
    """Raises sqlite3's errors as ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, _AWAY) or type(error) is sqlite3.DatabaseError:
            code = getattr(error, "sqlite_errorcode", 0)
            kind_of_failure = StoreFull if code in _FULL else StoreUnavailable
            advice = f" ({_WHAT_TO_DO})" if code & _PRIMARY in _DAMAGED else ""
            raise kind_of_failure(f"{self._path}: {reason_of(error)}{advice}") from error
