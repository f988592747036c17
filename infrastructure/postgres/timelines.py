"""Which history of the database the connections of a process see.

A server that takes over from another, or begins from a backup, begins a timeline of its own. Commits of the
old one may be gone, ids that they had are given again, and nothing else tells of it. So each new connection
is asked for its timeline, once; a command, a reading or a write costs nothing more.
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
    " || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) END"
)
"""The database cluster and its timeline; nothing of a standby, which is on its way to one."""

log = structlog.get_logger(__name__)


class Timelines:
    """What the connections of a process's pools have seen. Any thread may use it."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._seen: str | None = None
        self._switches = 0
        self._is_untold = False

    @property
    def switches(self) -> int:
        """How often a connection saw another timeline than the one before it: what is remembered of the
        database may then be of events that are lost."""
        return self._switches

    def look(self, connection: Connection[Any]) -> None:
        """See a new connection's.

        Raises:
            psycopg.Error: it is of no use.
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
        """The same of a connection of the event loop's."""
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
        """A server that does not tell, or not this role: then a failover is not noticed."""
        if self._is_untold:
            return
        self._is_untold = True
        log.warning("timeline_untold", error=str(error).partition("\n")[0])
