"""What other processes append wakes our followers: PostgreSQL's LISTEN, under supervision.

A notification is a hint and may be lost; followers wake by the clock too. So a connection that is lost, or
cannot be had while the address leads to a standby, costs latency and nothing else, and is made again for as
long as it takes. LISTEN needs a session of its own: no pool of ours hands it on, and a pooler in front of
PostgreSQL must pool by session.
"""

from collections.abc import Callable, Container

import anyio
import psycopg
import structlog
from psycopg import AsyncConnection

from infrastructure.postgres.conninfo import conninfo

CHANNEL = "workflow_orchestrator_events"

_SILENCE_SECONDS = 30.0
_ANSWER_SECONDS = 5.0
_SHORTEST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class PostgresWakeups:
    """Tells ``notice`` the log's newest id whenever another process has appended.

    ``own`` are the server's processes that append for this one. Their word often comes before the appending
    thread's, and would wake everybody for what it wakes some for.
    """

    def __init__(self, url: str, notice: Callable[[int | None], None], own: Container[int] = ()) -> None:
        self._conninfo = conninfo(url)
        self._notice = notice
        self._own = own
        self._pause = _SHORTEST_PAUSE_SECONDS
        self._is_lost = False

    async def run(self) -> None:
        """Listen until cancelled, on one connection after the other."""
        while True:
            try:
                async with await AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                    await self._listen(connection)
            except (psycopg.Error, TimeoutError) as error:
                self._note_loss(error)
            await anyio.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)

    async def _listen(self, connection: AsyncConnection) -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        if self._is_lost:
            log.info("wakeups_back")
        self._is_lost = False
        self._pause = _SHORTEST_PAUSE_SECONDS
        self._notice(None)
        while True:
            async for notification in connection.notifies(timeout=_SILENCE_SECONDS):
                if notification.pid not in self._own:
                    self._notice(int(notification.payload) if notification.payload.isdigit() else None)
            with anyio.fail_after(_ANSWER_SECONDS):
                await connection.execute("SELECT 1")

    def _note_loss(self, error: Exception) -> None:
        if not self._is_lost:
            log.warning("wakeups_lost", error=str(error).strip() or type(error).__name__)
        self._is_lost = True
