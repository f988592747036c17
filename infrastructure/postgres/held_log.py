"""A connection that holds the log's lock: nobody can append while it is open."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import psycopg
from psycopg import AsyncConnection
from psycopg.errors import LockNotAvailable
from psycopg.rows import TupleRow

from application.log_copy import CannotCopy
from infrastructure.postgres.conninfo import conninfo

_WITHOUT_TIME_LIMITS = (
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN"
    " ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"
)
"""Sets the limits that this server's release knows. A role may have such limits, and a copy may take long."""

_PATIENCE = "10s"

_LOCK = "SELECT pg_advisory_lock(3051, 1)"
"""The lock under which everybody appends: see ``0002_append_in_one_order.sql``."""


_SERVICES = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()"
)
_LEAVING_SECONDS = 2.0


@asynccontextmanager
async def held_log(url: str) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """Yield a connection that holds the log's lock. Its first statement begins a transaction.

    The session takes the lock before that: a transaction that waited for it would not see what was appended
    meanwhile. Nothing is committed here.

    Raises:
        CannotCopy: the server is away, or somebody else has held the lock for ten seconds.
    """
    try:
        connection = await AsyncConnection.connect(conninfo(url), autocommit=True)
    except psycopg.Error as error:
        raise CannotCopy(str(error)) from error
    try:
        with failures_at(connection):
            await connection.execute(_WITHOUT_TIME_LIMITS)
            await connection.execute("SELECT set_config('lock_timeout', %s, false)", (_PATIENCE,))
            await connection.execute(_LOCK)
            await connection.set_autocommit(False)
        yield connection
    finally:
        await connection.close()


async def refuse_while_a_service_runs(connection: AsyncConnection[TupleRow]) -> None:
    """Check that no service is connected. A service would append to its log after a copy, and the copy would
    lack that; and a service would publish what is copied in.

    A service is known by the name of its connections. One that has just ended is given time to disconnect.

    Raises:
        CannotCopy: it stays connected.
    """
    given_up = anyio.current_time() + _LEAVING_SECONDS
    while await _services(connection):
        if anyio.current_time() > given_up:
            raise CannotCopy(f"{place_of(connection)}: a service is connected to it; stop it first")
        await anyio.sleep(0.1)


async def _services(connection: AsyncConnection[TupleRow]) -> int:
    with failures_at(connection):
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        cursor = await connection.execute(_SERVICES)
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


def place_of(connection: AsyncConnection[TupleRow]) -> str:
    """Return which database a connection is to, for messages."""
    return "PostgreSQL" if connection.closed else f"{connection.info.dbname} at {connection.info.host}"


@contextmanager
def failures_at(connection: AsyncConnection[TupleRow]) -> Iterator[None]:
    """Raise PostgreSQL's errors as ours, with the database that they are about."""
    place = place_of(connection)
    try:
        yield
    except LockNotAvailable as error:
        raise CannotCopy(
            f"{place}: somebody else holds the log's lock: an append, another copy,"
            " or the other side if it is the same database"
        ) from error
    except psycopg.Error as error:
        raise CannotCopy(f"{place}: {error}") from error
