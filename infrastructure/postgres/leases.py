"""Leases in PostgreSQL. They depend on its clock alone, because the clocks of instances may differ."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from application.store_clock import StoreClock
from domain.errors import LeaseLost
from domain.lease import Lease
from infrastructure.postgres.database import PostgresDatabase

LEASE_SECONDS = 6.0

_HOLD = """
WITH held AS (
INSERT INTO public.leases AS lease (name, holder, fence, expires_at)
SELECT name, %(holder)s, (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
       clock_timestamp() + make_interval(secs => %(seconds)s)
FROM unnest(%(names)s::text[]) AS name
ORDER BY name
ON CONFLICT (name) DO UPDATE SET
    holder = excluded.holder,
    fence = CASE WHEN lease.holder = excluded.holder THEN lease.fence
                 ELSE greatest(lease.fence + 1, excluded.fence) END,
    expires_at = excluded.expires_at
WHERE lease.holder = excluded.holder OR lease.expires_at < clock_timestamp()
RETURNING name, fence
)
SELECT extract(epoch FROM clock_timestamp())::float8, array_agg(name), array_agg(fence) FROM held
"""
"""Returns a row in any case: the time of the server's clock, and the leases that are held.

A fence is the time in milliseconds, or more, so that a restored database gives no old fence again.
"""

_RELEASE = "UPDATE public.leases SET expires_at = '-infinity' WHERE name = ANY(%s) AND holder = %s"

_IS_HELD = "SELECT 1 FROM public.leases WHERE name = %s AND fence = %s FOR SHARE"
"""Nobody can take the lease over before the transaction has ended."""

_HELD = "FROM public.leases WHERE name = %(lease)s AND fence = %(fence)s FOR SHARE"
_WITHOUT_ITS_DISK = "set_config('synchronous_commit', 'off', true)"


class PostgresLeases:
    """Leases that all instances on one database share."""

    seconds = LEASE_SECONDS

    def __init__(self, database: PostgresDatabase, clock: StoreClock | None = None) -> None:
        self._database = database
        self._clock = clock or StoreClock()

    async def hold(self, names: Sequence[str], holder: str) -> Mapping[str, int | None]:
        """Return the leases that ``holder`` has from now on, with their fences, in one round trip. This also
        notes the time of the server's clock."""
        async with self._database.transaction() as connection:
            asked_at = self._clock.asked()
            cursor = await connection.execute(
                _HOLD, {"names": sorted(names), "holder": holder, "seconds": self.seconds}
            )
            row = await cursor.fetchone()
        assert row is not None
        now, held, fences = row
        self._clock.note(now, asked_at)
        return dict(zip(held or (), fences or (), strict=True))

    def surplus(self, holder: str) -> Collection[str]:
        """Return nothing: a log with one order is followed by one instance."""
        return ()

    async def release(self, names: Sequence[str], holder: str) -> None:
        """Release leases, so that other instances can take them at once."""
        async with self._database.transaction() as connection:
            await connection.execute(_RELEASE, (list(names), holder))


async def execute_under(
    lease: Lease,
    database: PostgresDatabase,
    statement: str,
    parameters: Mapping[str, Any],
    *,
    may_be_lost: bool = False,
) -> None:
    """Execute one statement in one round trip. Nobody can take the lease over meanwhile.

    The statement continues ``WITH held AS (…)``, a table that has one row while the lease is held. It must
    touch a row.

    If ``may_be_lost``, the statement does not wait for the disk, and a server that crashes may lose it. That
    is for what nobody misses, such as a position: what comes after it is done again. It is not for what was
    derived from the log: the follower that derived it lives on and does not do so again.

    The lease is checked once there is a connection, because that may lead to a server that has lost commits:
    it had the same lease, but not what was handled under it.

    Raises:
        LeaseLost: somebody has taken it over before, or may have; nothing was done.
    """
    told = _WITHOUT_ITS_DISK if may_be_lost else "1"
    held = f"WITH held AS MATERIALIZED (SELECT {told} {'' if lease.fence is None else _HELD})"
    async with database.connection() as connection:
        lease.check()
        cursor = await connection.execute(
            held + statement, {**parameters, "lease": lease.name, "fence": lease.fence}
        )
    if not cursor.rowcount:
        raise LeaseLost(f"another instance has the lease for {lease.name} now")


@asynccontextmanager
async def transaction_under(
    lease: Lease, database: PostgresDatabase
) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """Yield a transaction within which nobody can take the lease over.

    Raises:
        LeaseLost: somebody has taken it over before.
    """
    async with database.transaction() as connection:
        lease.check()
        if lease.fence is not None:
            cursor = await connection.execute(_IS_HELD, (lease.name, lease.fence))
            if await cursor.fetchone() is None:
                raise LeaseLost(f"another instance has the lease for {lease.name} now")
        yield connection
