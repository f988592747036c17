"""Which history of the database the connections of a process see.

A server that takes over from another, or begins from a backup, begins its own timeline. Commits of the old
timeline may be lost, their ids are given again, and nothing else tells of it. So each new connection is asked
once for its timeline; a command, a read or a write costs nothing more. A restored dump that takes the place
of the database counts as another timeline.
"""

from threading import Lock
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection, Connection
from psycopg.rows import tuple_row

_SEEN = (
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN"
    " (SELECT system_identifier FROM pg_control_system())"
    " || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)"
    " || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) END"
)
"""The database cluster, its timeline, and the database itself: a dump may have been restored under the name.
NULL on a standby, which may be about to begin a timeline."""

log = structlog.get_logger(__name__)


class Timelines:
    """What the connections of a process's pools have seen. Any thread may use this."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._seen: str | None = None
        self._switches = 0
        self._is_untold = False

    @property
    def switches(self) -> int:
        """How often a connection saw another timeline than the one before it. What is remembered of the
        database may then include lost events."""
        return self._switches

    def look(self, connection: Connection[Any]) -> None:
        """Read the timeline of a new connection.

        Raises:
            psycopg.Error: the connection cannot be used.
        """
        try:
            row = connection.cursor(row_factory=tuple_row).execute(_SEEN).fetchone()
        except psycopg.Error as error:
            if connection.closed:
                raise
            self._note_untold(error)
        else:
            self._note(row)

    async def look_from_the_loop(self, connection: AsyncConnection[Any]) -> None:
        """Read the timeline of a new connection of the event loop."""
        try:
            row = await (await connection.cursor(row_factory=tuple_row).execute(_SEEN)).fetchone()
        except psycopg.Error as error:
            if connection.closed:
                raise
            self._note_untold(error)
        else:
            self._note(row)

    def _note(self, row: tuple[Any, ...] | None) -> None:
        seen = row[0] if row else None
        if seen is None:
            return
        with self._guard:
            before, self._seen = self._seen, seen
            if before in (None, seen):
                return
            self._switches += 1
        log.warning("timeline_switched", before=before, now=seen)

    def _note_untold(self, error: psycopg.Error) -> None:
        """Note that this server, or this role, cannot read the timeline. A failover is not noticed then."""
        if self._is_untold:
            return
        self._is_untold = True
        log.warning("timeline_untold", error=str(error).partition("\n")[0])
