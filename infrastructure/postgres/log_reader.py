"""Reads a whole log from PostgreSQL, with the data beside it."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, IsolationLevel
from psycopg.rows import TupleRow

from application.log_batches import BATCH_BYTES
from application.log_copy import Entry, FollowerPosition, KeptAnchor, entries_of, step_calls_of, timers_of
from application.ports import StepCall, Timer
from infrastructure.postgres.batches import batch_where
from infrastructure.postgres.held_log import failures_at, held_log, place_of, refuse_while_a_service_runs

_BATCH = 500

_EVENTS_AFTER = batch_where(
    "notification_id > %s", "notification_id, originator_id, originator_version, topic, state"
).encode()
_BEFORE_ALL = -(2**63)
"""Somebody may have inserted an event before the first."""


class PostgresLogReader:
    """Reads what a connection's transaction sees. Events are fetched by cursors on the server."""

    def __init__(self, connection: AsyncConnection[TupleRow]) -> None:
        self._connection = connection

    async def count(self) -> int:
        """Return how many events there are."""
        statement = "SELECT count(*) FROM public.workflow_orchestrator_events"
        with failures_at(self._connection):
            cursor = await self._connection.execute(statement)
            row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def events(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Yield every event, ordered by id."""
        after = _BEFORE_ALL
        while rows := await self._events_after(after):
            yield entries_of(rows, place_of(self._connection))
            after = rows[-1][0]

    async def positions(self) -> Sequence[FollowerPosition]:
        """Return every position, ordered by follower and partition."""
        with failures_at(self._connection):
            cursor = await self._connection.execute(
                "SELECT follower, partition, position FROM public.follower_positions"
                ' ORDER BY follower COLLATE "C", partition COLLATE "C"'
            )
            return [FollowerPosition(*row) for row in await cursor.fetchall()]

    async def timers(self) -> AsyncGenerator[Sequence[Timer], None]:
        """Yield every timer, ordered by id."""
        statement = 'SELECT timer FROM public.timers ORDER BY id COLLATE "C"'
        async with aclosing(self._batches(statement)) as batches:
            async for rows in batches:
                yield timers_of((row[0] for row in rows), place_of(self._connection))

    async def step_calls(self) -> AsyncGenerator[Sequence[StepCall], None]:
        """Yield every call, ordered by id."""
        statement = 'SELECT call FROM public.step_calls ORDER BY id COLLATE "C"'
        async with aclosing(self._batches(statement)) as batches:
            async for rows in batches:
                yield step_calls_of((row[0] for row in rows), place_of(self._connection))

    async def anchors(self) -> Sequence[KeptAnchor]:
        """Return the last anchor of each tenant."""
        with failures_at(self._connection):
            cursor = await self._connection.execute(
                "SELECT tenant, sequence, anchor, is_out FROM public.audit_anchors"
                ' ORDER BY tenant COLLATE "C"'
            )
            return [KeptAnchor(*row) for row in await cursor.fetchall()]

    async def finish(self) -> None:
        """Do nothing: one transaction has read it all, and nobody could append meanwhile."""

    async def _events_after(self, id: int) -> list[TupleRow]:
        with failures_at(self._connection):
            async with self._connection.cursor(binary=True) as cursor:
                await cursor.execute(_EVENTS_AFTER, (id, _BATCH, BATCH_BYTES))
                return await cursor.fetchall()

    async def _batches(self, statement: str) -> AsyncGenerator[list[tuple[Any, ...]], None]:
        with failures_at(self._connection):
            async with self._connection.cursor(name="copy_log") as cursor:
                await cursor.execute(statement, binary=True)
                while rows := await cursor.fetchmany(_BATCH):
                    yield rows


@asynccontextmanager
async def read_postgres_log(url: str) -> AsyncIterator[PostgresLogReader]:
    """Yield a reader of one state of a log. Nobody can append until the block ends.

    Raises:
        CannotCopy: the server is away, a service is connected to it, or the log's lock cannot be had.
    """
    async with held_log(url) as connection:
        await refuse_while_a_service_runs(connection)
        await connection.rollback()
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        yield PostgresLogReader(connection)
