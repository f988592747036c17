"""Durable timers in PostgreSQL, beside the log."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from application.ports import Settled, Timer
from domain.lease import Lease
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.leases import execute_under

_CHANGE = """
, cancelled AS (DELETE FROM public.timers USING held WHERE id = ANY(%(cancelled)s)),
set AS (
    INSERT INTO public.timers (id, due_at, timer)
    SELECT given.* FROM held, unnest(%(ids)s::text[], %(due_at)s::timestamptz[], %(timers)s::bytea[]) AS given
    ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at, timer = excluded.timer
)
SELECT 1 FROM held
"""

_DUE = "SELECT timer FROM public.timers WHERE due_at <= %(now)s ORDER BY due_at, id LIMIT %(limit)s"
_DUE_BESIDES = """
SELECT timer FROM public.timers
WHERE due_at <= %(now)s
AND convert_from(timer, 'UTF8')::json -> 'meta' ->> 'tenant' <> ALL(%(besides)s)
ORDER BY due_at, id LIMIT %(limit)s
"""

_SETTLE = """
, gone AS (
    DELETE FROM public.timers AS timer
    USING held, unnest(%(gone)s::text[], %(gone_due_at)s::timestamptz[]) AS found (id, due_at)
    WHERE timer.id = found.id AND timer.due_at = found.due_at
),
put_off AS (
    UPDATE public.timers AS timer SET due_at = given.due_at, timer = given.timer
    FROM held, unnest(
        %(ids)s::text[], %(found_due_at)s::timestamptz[], %(due_at)s::timestamptz[], %(timers)s::bytea[]
    ) AS given (id, found_due_at, due_at, timer)
    WHERE timer.id = given.id AND timer.due_at = given.found_due_at
)
SELECT 1 FROM held
"""

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
        await execute_under(
            lease,
            self._database,
            _CHANGE,
            {
                "ids": [timer.id for timer in set],
                "due_at": [timer.due_at for timer in set],
                "timers": [msgspec.json.encode(timer) for timer in set],
                "cancelled": list(cancel),
            },
            may_be_lost=not set,
        )

    async def settle(self, handled: Sequence[Settled], lease: Lease) -> None:
        """Take away what was found due, or put it off, unless it was set to another time or cancelled.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        gone = [found for found, again in handled if again is None]
        put_off = [(found, again) for found, again in handled if again is not None]
        await execute_under(
            lease,
            self._database,
            _SETTLE,
            {
                "gone": [found.id for found in gone],
                "gone_due_at": [found.due_at for found in gone],
                "ids": [found.id for found, _ in put_off],
                "found_due_at": [found.due_at for found, _ in put_off],
                "due_at": [again.due_at for _, again in put_off],
                "timers": [msgspec.json.encode(again) for _, again in put_off],
            },
            may_be_lost=not put_off,
        )

    async def due(self, now: datetime, limit: int, besides: Collection[str] = ()) -> Sequence[Timer]:
        """Up to ``limit`` timers due by ``now``, the oldest first, besides those of some tenants."""
        given = {"now": now, "limit": limit, "besides": list(besides)}
        async with self._database.connection() as connection:
            cursor = await connection.execute(_DUE_BESIDES if besides else _DUE, given)
            rows = await cursor.fetchall()
        return [_timer.decode(row[0]) for row in rows]
