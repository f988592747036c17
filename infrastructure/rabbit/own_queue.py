"""Whether messages wait in the service's own queue, for parts that judge only after those are received."""

import asyncio
import time

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection
from pamqp.common import FieldTable

from application.single_flight_cache import SingleFlightCache
from infrastructure.rabbit.connection import BROKER_ERRORS, CONNECT_TIMEOUT_SECONDS, lost_connection_raised

_KEPT_SECONDS = 1.0
_REST_SECONDS = 10.0
_ANSWER_SECONDS = 5.0

log = structlog.get_logger(__name__)


class OwnQueue:
    """Asks the broker over a connection of its own, because a process that asks need not consume. It does so
    rarely: concurrent callers share one answer, and a broker that is away is not tried again at once."""

    def __init__(self, url: str, queue: str, app_id: str) -> None:
        self._url = url
        self._queue = queue
        self._app_id = app_id
        self._waiting = SingleFlightCache(self._look, seconds=_KEPT_SECONDS, most=1)
        self._again_at = 0.0

    async def is_empty(self) -> bool:
        """Return whether no message waits. Messages that are delivered and not acknowledged do not count. If
        the broker cannot be asked, the queue counts as not empty."""
        return await self._waiting.get(self._queue) == 0

    async def _look(self, queue_name: str) -> int | None:
        if time.monotonic() < self._again_at:
            return None
        try:
            with lost_connection_raised():
                async with asyncio.timeout(_ANSWER_SECONDS), await self._connected() as connection:
                    channel = await connection.channel()
                    queue = await channel.declare_queue(queue_name, passive=True)
                    return queue.declaration_result.message_count
        except BROKER_ERRORS as error:
            log.info("own_queue_unknown", queue=queue_name, error=repr(error))
            self._again_at = time.monotonic() + _REST_SECONDS
            return None

    async def _connected(self) -> AbstractConnection:
        properties: FieldTable = {"connection_name": f"{self._app_id}:own-queue"}
        return await aio_pika.connect(
            self._url, timeout=CONNECT_TIMEOUT_SECONDS, client_properties=properties
        )
