"""Durable timers in PostgreSQL, beside the log."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from application.ports import Timer
from domain.lease import Lease
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.leases import transaction_under

_timer = msgspec.json.Decoder(Timer)


class PostgresTimers:
    """Timers that every instance shares."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def change(self, *, set: Sequence[Timer], cancel: Sequence[str], lease: Lease) -> None:
        """Set and cancel timers, all or none.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        async with transaction_under(lease, self._database) as connection:
            for timer in set:
                await connection.execute(
                    "INSERT INTO public.timers (id, due_at, timer) VALUES (%s, %s, %s)"
                    " ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at, timer = excluded.timer",
                    (timer.id, timer.due_at, msgspec.json.encode(timer)),
                )
            await connection.execute("DELETE FROM public.timers WHERE id = ANY(%s)", (list(cancel),))

    async def due(self, now: datetime, limit: int) -> Sequence[Timer]:
        """Up to ``limit`` timers due by ``now``, the oldest first."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT timer FROM public.timers WHERE due_at <= %s ORDER BY due_at, id LIMIT %s",
                (now, limit),
            )
            rows = await cursor.fetchall()
        return [_timer.decode(row[0]) for row in rows]
