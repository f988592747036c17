"""The events of a log in PostgreSQL, as they are stored."""

from collections.abc import AsyncGenerator, Collection, Sequence
from typing import Any

from application.event_log import PARTITION
from application.log_batches import BATCH_BYTES, Part, in_parts
from application.log_copy import Entry
from infrastructure.postgres.batches import batch_where
from infrastructure.postgres.database import PostgresDatabase

_COLUMNS = "notification_id, originator_id, originator_version, topic, state"
_LAST = "SELECT coalesce(max(notification_id), 0) FROM public.workflow_orchestrator_events"
_AFTER = batch_where("notification_id > %s", _COLUMNS).encode()
_AT = batch_where("notification_id = ANY(%s)", _COLUMNS).encode()
_FIND = batch_where("originator_id = %s AND originator_version = %s", _COLUMNS).encode()


class PostgresStoredLog:
    """Reads only. Each call sees the log as it is at that time."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def partitions(self) -> Sequence[str]:
        """The log has one partition."""
        return (PARTITION,)

    def partition_of(self, tenant: str) -> str:
        """The log has one partition."""
        return PARTITION

    async def last(self, partition: str) -> int:
        """Return the id of the last event, or 0 if there is none."""
        async with self._database.connection() as connection:
            row = await (await connection.execute(_LAST)).fetchone()
        return int(row[0]) if row else 0

    async def read(self, partition: str, after: int, limit: int) -> Sequence[Entry]:
        """Return the next events after an id, ordered by id, up to a full batch."""
        return await self._entries(_AFTER, (after, limit, BATCH_BYTES))

    def at(self, partition: str, ids: Collection[int]) -> AsyncGenerator[Part, None]:
        """Yield the events at some ids, a full batch at a time."""
        return in_parts(ids, self._at)

    async def find(self, stream: str, version: int) -> Entry | None:
        """Return the event at a version of a stream, if there is one."""
        found = await self._entries(_FIND, (stream, version, 1, BATCH_BYTES))
        return found[0] if found else None

    async def _at(self, ids: Sequence[int]) -> Sequence[Entry]:
        return await self._entries(_AT, (list(ids), len(ids), BATCH_BYTES))

    async def _entries(self, statement: bytes, values: tuple[Any, ...]) -> list[Entry]:
        async with self._database.connection() as connection:
            cursor = connection.cursor(binary=True)
            await cursor.execute(statement, values)
            rows = await cursor.fetchall()
        return [
            Entry(id, stream, version, topic or "", bytes(state or b""))
            for id, stream, version, topic, state in rows
        ]
