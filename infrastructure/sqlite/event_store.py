"""The library's settings and connections for an event log in a SQLite file."""

import os
import sqlite3
from pathlib import Path

from eventsourcing.persistence import InterfaceError, OperationalError
from eventsourcing.sqlite import (
    SQLITE3_DEFAULT_LOCK_TIMEOUT,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteFactory,
)
from eventsourcing.utils import Environment, EnvType, get_topic

from infrastructure.sqlite import recorder

_CACHE_KIB = 8 * 1024
"""A connection's cache of the log's pages. Commands access the streams' index at random: at 20,000 events the
index is larger than the default cache of 2 MiB, and each command would read its pages from the file."""

_PREPARED = 32
"""How many prepared statements a connection keeps, each with its last parameters. Each number of events in an
append is a statement of its own."""


class LogPool(SQLiteConnectionPool):
    """The library's pool, whose connections keep several prepared statements. Those of the library keep
    one.

    An open connection goes on with its file when that is moved, deleted or replaced, as by a restore under a
    running service. What is then appended would be gone at the next start, so no connection is issued.
    """

    _file: tuple[int, int] | None = None

    def get_connection(
        self, timeout: float | None = None, *, is_writer: bool | None = None
    ) -> SQLiteConnection:
        """Return a connection, as the library does.

        Raises:
            OperationalError: the path no longer leads to the file that was opened.
        """
        if self._file is not None and self._file != _identity(self.db_name):
            raise OperationalError(
                f"{self.db_name} was moved, deleted or replaced while it was in use: put it back, or stop the"
                " service and restore the log (docs/runbooks/store-outage.md)"
            )
        return super().get_connection(timeout, is_writer=is_writer)

    def _create_connection(self) -> SQLiteConnection:
        try:
            connection = sqlite3.connect(
                self.db_name,
                uri=True,
                check_same_thread=False,
                isolation_level=None,
                timeout=self.lock_timeout or SQLITE3_DEFAULT_LOCK_TIMEOUT,
                cached_statements=_PREPARED,
            )
        except sqlite3.Error as error:
            raise InterfaceError(error) from error
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.row_factory = sqlite3.Row
        if self._file is None:
            self._file = _identity(self.db_name)
        return SQLiteConnection(connection, max_age=self.max_age)


def _identity(path: str) -> tuple[int, int] | None:
    """Return the device and the number of a file, or None if there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperationalError(f"{path}: {error.strerror}") from error
    return found.st_dev, found.st_ino


class LogFactory(SQLiteFactory):
    """The library's factory, with our pool."""

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        stock = self.datastore.pool
        self.datastore.pool = LogPool(
            db_name=stock.db_name, lock_timeout=stock.lock_timeout, pool_size=stock.pool_size
        )


def sqlite_log_settings(path: Path) -> dict[str, str]:
    """Return the library's settings for our recorder. A commit that was acknowledged is on the disk: WAL, and
    synchronous FULL."""
    return {
        "PERSISTENCE_MODULE": get_topic(LogFactory),
        "APPLICATION_RECORDER_TOPIC": recorder.TOPIC,
        "SQLITE_DBNAME": str(path),
        "SQLITE_LOCK_TIMEOUT": "10",
    }


def followers_file(path: Path) -> Path:
    """Return the file of positions and timers beside a log. It is separate so that they do not block
    appends."""
    return path.with_name(f"{path.stem}-followers.db")
