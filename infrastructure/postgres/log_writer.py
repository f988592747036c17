"""Writes a whole log into PostgreSQL in one transaction."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from application.log_copy import CannotCopy, Entry, FollowerPosition, KeptAnchor
from application.ports import StepCall, Timer
from infrastructure.postgres.held_log import failures_at, held_log, refuse_while_a_service_runs
from infrastructure.postgres.log_reader import PostgresLogReader

_COPY = (
    "COPY public.workflow_orchestrator_events"
    " (notification_id, originator_id, originator_version, topic, state) FROM STDIN (FORMAT BINARY)"
)
_TYPES = ("int8", "text", "int8", "text", "bytea")

_GO_ON_AFTER_THE_NEWEST = (
    "SELECT setval(pg_get_serial_sequence('public.workflow_orchestrator_events', 'notification_id'),"
    " max(notification_id)) FROM public.workflow_orchestrator_events"
)
"""A rollback does not undo this. If a copy ends here, ids begin later, with no other effect."""


class PostgresLogWriter:
    """Writes in a connection's transaction."""

    leaves_a_half = False

    def __init__(self, connection: AsyncConnection[TupleRow]) -> None:
        self._connection = connection
        self.written = PostgresLogReader(connection)

    async def begin(self) -> int:
        """Return how many events there are already."""
        return await self.written.count()

    async def put_events(self, batches: AsyncIterator[Sequence[Entry]]) -> None:
        """Write events under their own ids."""
        await refuse_while_a_service_runs(self._connection)
        with failures_at(self._connection):
            async with self._connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                copy.set_types(_TYPES)
                async for batch in batches:
                    for entry in batch:
                        await copy.write_row(msgspec.structs.astuple(entry))

    async def put_positions(self, positions: Sequence[FollowerPosition]) -> None:
        """Write positions. They replace those that are there."""
        with failures_at(self._connection):
            async with self._connection.cursor() as cursor:
                await cursor.execute("DELETE FROM public.follower_positions")
                await cursor.executemany(
                    "INSERT INTO public.follower_positions (follower, partition, position)"
                    " VALUES (%s, %s, %s)",
                    [msgspec.structs.astuple(each) for each in positions],
                )

    async def put_timers(self, batches: AsyncIterator[Sequence[Timer]]) -> None:
        """Write timers. They replace those that are there."""
        with failures_at(self._connection):
            async with self._connection.cursor() as cursor:
                await cursor.execute("DELETE FROM public.timers")
                async for batch in batches:
                    await cursor.executemany(
                        "INSERT INTO public.timers (id, due_at, timer) VALUES (%s, %s, %s)",
                        [(timer.id, timer.due_at, msgspec.json.encode(timer)) for timer in batch],
                    )

    async def put_step_calls(self, batches: AsyncIterator[Sequence[StepCall]]) -> None:
        """Write the calls of steps. They replace those that are there."""
        statement = (
            "INSERT INTO public.step_calls (id, service, tenant, dispatched_at, call)"
            " VALUES (%s, %s, %s, %s, %s)"
        )
        with failures_at(self._connection):
            async with self._connection.cursor() as cursor:
                await cursor.execute("DELETE FROM public.step_calls")
                async for batch in batches:
                    await cursor.executemany(
                        statement,
                        [
                            (
                                call.id,
                                call.service,
                                call.meta.tenant,
                                call.dispatched_at,
                                msgspec.json.encode(call),
                            )
                            for call in batch
                        ],
                    )

    async def put_anchors(self, anchors: Sequence[KeptAnchor]) -> None:
        """Write anchors. They replace those that are there."""
        with failures_at(self._connection):
            async with self._connection.cursor() as cursor:
                await cursor.execute("DELETE FROM public.audit_anchors")
                await cursor.executemany(
                    "INSERT INTO public.audit_anchors (tenant, sequence, anchor, is_out)"
                    " VALUES (%s, %s, %s, %s)",
                    [msgspec.structs.astuple(each) for each in anchors],
                )

    async def finish(self) -> None:
        """Make the next event get a higher id.

        Also check that no service has begun on the empty log meanwhile: it would know no position, and
        publish everything that was copied.
        """
        await refuse_while_a_service_runs(self._connection)
        with failures_at(self._connection):
            await self._connection.execute(_GO_ON_AFTER_THE_NEWEST)


@asynccontextmanager
async def write_postgres_log(url: str) -> AsyncIterator[PostgresLogWriter]:
    """Yield a writer in one transaction under the log's lock, which is committed at the end of the block.

    Raises:
        CannotCopy: the server is away, or the log's lock cannot be had.
    """
    async with held_log(url) as connection:
        yield PostgresLogWriter(connection)
        try:
            await connection.commit()
        except psycopg.Error as error:
            raise CannotCopy(
                f"the commit was not answered; run it again, which verifies what is there: {error}"
            ) from error
