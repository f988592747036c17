"""Followers' positions in PostgreSQL, beside the log."""

from collections.abc import Mapping, Sequence

from domain.lease import Lease
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.leases import execute_under, transaction_under


class PostgresCheckpoints:
    """Positions of the followers that work for all instances: the outbox, the policies and the scheduler."""

    passed_seconds = 1.0

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def load(self, follower: str, partition: str, lease: Lease) -> str | None:
        """Return the position after the last event handled, or None before the first."""
        async with transaction_under(lease, self._database) as connection:
            cursor = await connection.execute(
                "SELECT position FROM public.follower_positions WHERE follower = %s AND partition = %s",
                (follower, partition),
            )
            row = await cursor.fetchone()
        return None if row is None else str(row[0])

    async def load_all(
        self, follower: str, partitions: Sequence[str], lease: Lease
    ) -> Mapping[str, str | None]:
        """Return the position in each of some partitions. A log in PostgreSQL has one partition."""
        return {partition: await self.load(follower, partition, lease) for partition in partitions}

    async def save(self, follower: str, partition: str, position: str, lease: Lease) -> None:
        """Save a position.

        Raises:
            LeaseLost: the lease has passed on; nothing was saved.
        """
        await execute_under(
            lease,
            self._database,
            "INSERT INTO public.follower_positions (follower, partition, position)"
            " SELECT %(follower)s, %(partition)s, %(position)s FROM held"
            " ON CONFLICT (follower, partition) DO UPDATE SET position = excluded.position",
            {"follower": follower, "partition": partition, "position": position},
            may_be_lost=True,
        )

    async def save_all(self, follower: str, positions: Mapping[str, str], lease: Lease) -> None:
        """Save the position in each of some partitions. A log in PostgreSQL has one partition.

        Raises:
            LeaseLost: the lease has passed on.
        """
        for partition, position in positions.items():
            await self.save(follower, partition, position, lease)

    async def forget(self, follower: str, partitions: Sequence[str], lease: Lease) -> None:
        """Delete the positions in some partitions, so that the follower begins again at the first event.

        Raises:
            LeaseLost: the lease has passed on; nothing is forgotten.
        """
        async with transaction_under(lease, self._database) as connection:
            await connection.execute(
                "DELETE FROM public.follower_positions WHERE follower = %s AND partition = ANY(%s)",
                (follower, list(partitions)),
            )
