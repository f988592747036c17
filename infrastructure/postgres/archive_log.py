"""Replaces events of a log in PostgreSQL by what archiving leaves of them, while services run."""

from collections.abc import Sequence

from psycopg import AsyncConnection
from psycopg.errors import Diagnostic
from psycopg.rows import TupleRow

from application.archive.ports import Followers, Replacement
from infrastructure.postgres.database import PostgresDatabase

_ALONE = "SELECT set_config('lock_timeout', '10s', true), pg_advisory_xact_lock(3051, 1)"
"""Appends take the same lock: see ``0002_append_in_one_order.sql``. They wait for it for a second at most."""

_HANDLED = (
    "SELECT split_part(position, '-', 2)::bigint, follower FROM public.follower_positions"
    " WHERE partition = %s ORDER BY 1 LIMIT 1"
)
_GOES_ON = (
    "SELECT EXISTS (SELECT FROM unnest(%s::text[], %s::bigint[]) AS ended (stream, version)"
    " JOIN public.workflow_orchestrator_events"
    " ON originator_id = ended.stream AND originator_version = ended.version + 1)"
)
_UPDATE = (
    "UPDATE public.workflow_orchestrator_events AS stored SET state = given.state"
    " FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bytea[], %s::bytea[])"
    " AS given (id, stream, version, was, state)"
    " WHERE stored.originator_id = given.stream AND stored.originator_version = given.version"
    " AND stored.notification_id = given.id AND stored.state = given.was"
)
_VACUUM = "VACUUM (ANALYZE) public.workflow_orchestrator_events"
_FORGET = (
    "UPDATE public.stream_snapshots SET version = 0, recipe = '', leaf = '', body = '', digest = '',"
    " forgotten = true WHERE stream = ANY(%s)"
)


class PostgresArchiveLog:
    """``beside`` are the followers whose positions are not in the log's database."""

    at_once = 500
    """How many events are replaced in one transaction. Nobody can append while it runs."""

    def __init__(self, database: PostgresDatabase, beside: Followers) -> None:
        self._database = database
        self._beside = beside

    async def handled_until(self, partition: str) -> tuple[int, str] | None:
        """Return the id that every follower has reached, and the name of the follower that is furthest
        behind."""
        async with self._database.connection() as connection:
            row = await (await connection.execute(_HANDLED, (partition,))).fetchone()
        found = [await self._beside.handled_until(partition), row and (int(row[0]), str(row[1]))]
        return min(filter(None, found), default=None)

    async def replace(self, replacements: Sequence[Replacement], ends: Sequence[tuple[str, int]]) -> bool:
        """Replace the states of events, all of them or none. No append comes in between."""
        try:
            async with self._database.transaction() as connection:
                if not await _replaced(connection, replacements, ends):
                    raise _NotAsItWas
        except _NotAsItWas:
            return False
        return True

    async def tidy(self) -> str | None:
        """Free space for the next appends: with the table's own settings it would grow very far first. If our
        role may not do so, PostgreSQL only warns; then the table's owner has to do it."""
        warnings = list[str]()

        def note(said: Diagnostic) -> None:
            warnings.append(said.message_primary or "")

        async with self._database.connection() as connection:
            connection.add_notice_handler(note)
            try:
                await connection.execute(_VACUUM)
            finally:
                connection.remove_notice_handler(note)
        return f"{'; '.join(warnings)}. As the table's owner: {_VACUUM}" if warnings else None


async def _replaced(
    connection: AsyncConnection[TupleRow],
    replacements: Sequence[Replacement],
    ends: Sequence[tuple[str, int]],
) -> bool:
    await connection.execute(_ALONE)
    streams, versions = [stream for stream, _ in ends], [version for _, version in ends]
    row = await (await connection.execute(_GOES_ON, (streams, versions))).fetchone()
    if row is None or row[0]:
        return False
    was = [each.entry for each in replacements]
    cursor = await connection.execute(
        _UPDATE,
        (
            [entry.id for entry in was],
            [entry.stream for entry in was],
            [entry.version for entry in was],
            [entry.state for entry in was],
            [each.state for each in replacements],
        ),
    )
    await connection.execute(_FORGET, (streams,))
    return cursor.rowcount == len(replacements)


class _NotAsItWas(Exception):
    """Raised to roll the transaction back."""
