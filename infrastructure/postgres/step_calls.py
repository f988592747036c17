"""The calls that steps still have to make, in PostgreSQL, beside the log."""

from collections.abc import Collection, Sequence

import msgspec

from application.ports import StepCall
from domain.lease import Lease
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.leases import execute_under

_CHANGE = """
, removed AS (DELETE FROM public.step_calls USING held WHERE id = ANY(%(removed)s)),
added AS (
    INSERT INTO public.step_calls (id, service, tenant, dispatched_at, call)
    SELECT given.* FROM held, unnest(
        %(ids)s::text[], %(services)s::text[], %(tenants)s::text[], %(dispatched_at)s::timestamptz[],
        %(calls)s::bytea[]
    ) AS given
    ON CONFLICT (id) DO NOTHING
)
SELECT 1 FROM held
"""

_WAITING = """
WITH RECURSIVE lanes AS (
    (SELECT service, tenant FROM public.step_calls ORDER BY service, tenant LIMIT 1)
    UNION ALL
    SELECT next.service, next.tenant FROM lanes CROSS JOIN LATERAL (
        SELECT service, tenant FROM public.step_calls
        WHERE (service, tenant) > (lanes.service, lanes.tenant) ORDER BY service, tenant LIMIT 1
    ) AS next
)
SELECT oldest.call FROM lanes CROSS JOIN LATERAL (
    SELECT call FROM public.step_calls AS waiting
    WHERE waiting.service = lanes.service AND waiting.tenant = lanes.tenant AND NOT id = ANY(%(besides)s)
    ORDER BY dispatched_at, id LIMIT %(each)s
) AS oldest
"""
"""Steps from lane to lane along the index, however many calls each lane has."""

_call = msgspec.json.Decoder(StepCall)


class PostgresStepCalls:
    """The calls that all instances share."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def change(self, *, add: Sequence[StepCall], remove: Sequence[str], lease: Lease) -> None:
        """Add and remove calls, all of them or none.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        await execute_under(
            lease,
            self._database,
            _CHANGE,
            {
                "ids": [call.id for call in add],
                "services": [call.service for call in add],
                "tenants": [call.meta.tenant for call in add],
                "dispatched_at": [call.dispatched_at for call in add],
                "calls": [msgspec.json.encode(call) for call in add],
                "removed": list(remove),
            },
            may_be_lost=not add,
        )

    async def waiting(self, *, each: int, besides: Collection[str]) -> Sequence[StepCall]:
        """Return up to ``each`` calls per tenant and service, the oldest first, without the ids
        ``besides``."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(_WAITING, {"each": each, "besides": list(besides)})
            rows = await cursor.fetchall()
        return [_call.decode(row[0]) for row in rows]
