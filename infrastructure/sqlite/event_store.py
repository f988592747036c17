"""The library's settings and connections for an event log in a SQLite file."""

import sqlite3
from pathlib import Path

from eventsourcing.persistence import InterfaceError
from eventsourcing.sqlite import (
    SQLITE3_DEFAULT_LOCK_TIMEOUT,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteFactory,
)
from eventsourcing.utils import Environment, EnvType, get_topic

from infrastructure.sqlite import recorder

_CACHE_KIB = 8 * 1024
"""A connection's cache of the log's pages. The streams' index is walked at random: beyond the stock 2 MiB of
it, which 20,000 events have, a command fetches its pages from the file."""

_PREPARED = 32
"""Statements that a connection keeps, each with what was bound to it: an append of so many events is one."""


class LogPool(SQLiteConnectionPool):
    """The library's pool, with connections that keep prepared statements: the stock ones keep one."""

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
        return SQLiteConnection(connection, max_age=self.max_age)


class LogFactory(SQLiteFactory):
    """The library's factory over our pool."""

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
    """The file of positions and timers beside a log: so they do not take turns with the appends."""
    return path.with_name(f"{path.stem}-followers.db")
