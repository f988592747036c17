"""The events of a log in PostgreSQL as they are stored."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from application.event_log import PARTITION
from application.log_copy import Entry
from infrastructure.postgres.database import PostgresDatabase

_EVENT = (
    b"SELECT notification_id, originator_id, originator_version, topic, state"
    b" FROM public.workflow_orchestrator_events "
)


class PostgresStoredLog:
    """Reads only; each call sees the log as it then is."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def partitions(self) -> Sequence[str]:
        """The one."""
        return (PARTITION,)

    def partition_of(self, tenant: str) -> str:
        """The one."""
        return PARTITION

    async def read(self, partition: str, after: int, limit: int) -> Sequence[Entry]:
        """The next events after an id, in the order of the ids."""
        return await self._entries(
            b"WHERE notification_id > %s ORDER BY notification_id LIMIT %s", (after, limit)
        )

    async def at(self, partition: str, ids: Collection[int]) -> Mapping[int, Entry]:
        """Those of some ids that there are."""
        found = await self._entries(b"WHERE notification_id = ANY(%s)", (list(ids),))
        return {entry.id: entry for entry in found}

    async def find(self, stream: str, version: int) -> Entry | None:
        """The event at a version of a stream."""
        found = await self._entries(
            b"WHERE originator_id = %s AND originator_version = %s", (stream, version)
        )
        return found[0] if found else None

    async def _entries(self, condition: bytes, values: tuple[Any, ...]) -> list[Entry]:
        async with self._database.connection() as connection:
            cursor = connection.cursor(binary=True)
            await cursor.execute(_EVENT + condition, values)
            rows = await cursor.fetchall()
        return [
            Entry(id, stream, version, topic or "", bytes(state or b""))
            for id, stream, version, topic, state in rows
        ]
