"""A small pool of asynchronous connections for what stands beside the log: positions and timers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from domain.errors import StoreUnavailable
from infrastructure.postgres.arrays import send_arrays_in_binary
from infrastructure.postgres.conninfo import conninfo
from infrastructure.postgres.failures import AWAY, may_pass
from infrastructure.postgres.recorder import RECONNECT_SECONDS
from infrastructure.postgres.timelines import Timelines

_POOL_SIZE = 4
_TIMEOUT_SECONDS = 2.0
_OPEN_SECONDS = 10.0
_CLOSE_SECONDS = 1.0

_LEFT_OPEN = "SET idle_in_transaction_session_timeout = '2s'"
"""An instance that is paused within a transaction keeps its locks, on a lease for one, which others want."""


class PostgresDatabase:
    """Connections to one database. They come back by themselves when the server does.

    There are ``size`` at most; to close them while it is away takes up to ``close_seconds``. What they see of
    the database's ``timelines`` they share with the process's other pools.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int = _POOL_SIZE,
        close_seconds: float = _CLOSE_SECONDS,
        timelines: Timelines | None = None,
    ) -> None:
        self._close_seconds = close_seconds
        self._timelines = timelines or Timelines()
        self._left = self._timelines.switches
        self._pool: AsyncConnectionPool[AsyncConnection[TupleRow]] = AsyncConnectionPool(
            conninfo(url),
            kwargs={"autocommit": True},
            min_size=1,
            max_size=size,
            timeout=_TIMEOUT_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            open=False,
            configure=self._configure,
            check=self._check,
        )

    async def open(self) -> None:
        """Connect.

        Raises:
            StoreUnavailable: the server does not answer.
        """
        try:
            await self._pool.open(wait=True, timeout=_OPEN_SECONDS)
        except PoolTimeout as error:
            raise StoreUnavailable(str(error)) from error

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """One connection, on which each statement is a transaction of its own, in one round trip.

        Raises:
            StoreUnavailable: the server is away, or takes no writes from us (a standby, a missing right);
                nothing is known to be written.
        """
        await self._leave_former_server()
        try:
            async with self._borrowed() as connection:
                yield connection
        except psycopg.errors.ReadOnlySqlTransaction as error:
            await self._pool.drain()
            raise StoreUnavailable(str(error)) from error
        except AWAY as error:
            if not may_pass(error):
                raise
            raise StoreUnavailable(str(error)) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """One transaction, committed at the end of the block.

        Raises:
            StoreUnavailable: as above.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close(timeout=self._close_seconds)

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """A connection of the pool. It is given back in spite of a cancellation, because the pool loses for
        good what a cancellation meets on its way back."""
        connection = await self._pool.getconn()
        try:
            yield connection
        finally:
            with anyio.CancelScope(shield=True):
                await self._pool.putconn(connection)

    async def _configure(self, connection: AsyncConnection[TupleRow]) -> None:
        send_arrays_in_binary(connection)
        await connection.execute(_LEFT_OPEN)
        await self._timelines.look_from_the_loop(connection)

    async def _leave_former_server(self) -> None:
        """Keep no connection to a server that another one has taken over from, whichever pool found that."""
        switches = self._timelines.switches
        if self._left != switches:
            self._left = switches
            await self._pool.drain()

    async def _check(self, connection: AsyncConnection[TupleRow]) -> None:
        """Look at every idle connection where one is dead: a server that restarts ends them all.

        The pool alone replaces one at a time, and pauses for a second after the second in a row.
        """
        try:
            await AsyncConnectionPool.check_connection(connection)
        except psycopg.Error:
            await self._pool.check()
            raise
