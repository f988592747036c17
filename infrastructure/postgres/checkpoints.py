"""Followers' positions in PostgreSQL, beside the log."""

from infrastructure.postgres.database import PostgresDatabase


class PostgresCheckpoints:
    """Positions of what every instance shares: the outbox and the policies."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def load(self, follower: str, partition: str) -> str | None:
        """The position after the last event handled; none before the first."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "SELECT position FROM public.follower_positions WHERE follower = %s AND partition = %s",
                (follower, partition),
            )
            row = await cursor.fetchone()
        return None if row is None else str(row[0])

    async def save(self, follower: str, partition: str, position: str) -> None:
        """Remember a position."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "INSERT INTO public.follower_positions (follower, partition, position) VALUES (%s, %s, %s)"
                " ON CONFLICT (follower, partition) DO UPDATE SET position = excluded.position",
                (follower, partition, position),
            )

    async def forget(self, follower: str) -> None:
        """Begin again from the first event."""
        async with self._database.transaction() as connection:
            await connection.execute("DELETE FROM public.follower_positions WHERE follower = %s", (follower,))
