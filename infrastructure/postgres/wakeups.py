"""Wakes our followers when other processes append, by PostgreSQL's LISTEN, under supervision.

A notification is a hint and may be lost, so followers also wake by the clock. A connection that is lost, or
that cannot be made while the address leads to a standby, therefore costs only latency. It is made again for
as long as that takes. LISTEN needs a session of its own: none of our pools hands such a connection on, and a
pooler in front of PostgreSQL must pool by session.
"""

from collections.abc import Callable, Container

import anyio
import psycopg
from psycopg import AsyncConnection

from application.supervised import Supervised
from domain.errors import StoreUnavailable
from infrastructure.postgres.conninfo import conninfo

CHANNEL = "workflow_orchestrator_events"

_SILENCE_SECONDS = 30.0
_ANSWER_SECONDS = 5.0
_SHORTEST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0


class PostgresWakeups:
    """Tells ``notice`` the log's newest id whenever another process has appended.

    ``own`` are the server's processes that append for this process. Their notifications often come before the
    appending thread's own, and would wake all followers where that wakes only some.
    """

    def __init__(self, url: str, notice: Callable[[int | None], None], own: Container[int] = ()) -> None:
        self._conninfo = conninfo(url)
        self._notice = notice
        self._own = own
        self._pause = _SHORTEST_PAUSE_SECONDS
        self._supervised = Supervised("wakeups")

    async def run(self) -> None:
        """Listen until cancelled, on one connection after another."""
        while True:
            await self._supervised.has_done(self._listen)
            await anyio.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)

    async def _listen(self) -> None:
        try:
            connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
            try:
                await connection.execute(f"LISTEN {CHANNEL}")
                self._supervised.note_progress()
                self._pause = _SHORTEST_PAUSE_SECONDS
                self._notice(None)
                while True:
                    await self._pass_on(connection)
            finally:  # the connection's own context rolls back first, and leaves it open if cancelled at that
                await connection.close()
        except (psycopg.Error, TimeoutError) as error:
            raise StoreUnavailable(str(error).strip() or type(error).__name__) from error

    async def _pass_on(self, connection: AsyncConnection) -> None:
        """Pass notifications on until the connection has been silent for long, and then check that it
        works."""
        async for notification in connection.notifies(timeout=_SILENCE_SECONDS):
            if notification.pid not in self._own:
                self._notice(int(notification.payload) if notification.payload.isdigit() else None)
        with anyio.fail_after(_ANSWER_SECONDS):
            await connection.execute("SELECT 1")
