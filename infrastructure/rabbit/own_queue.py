"""Whether messages wait in the own queue, for whoever would rather not judge before they are taken in."""

import asyncio
import time

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection
from pamqp.common import FieldTable

from infrastructure.rabbit.connection import BROKER_ERRORS, CONNECT_TIMEOUT_SECONDS, lost_connection_raised

_KEPT_SECONDS = 1.0
_KEPT_AFTER_FAILURE_SECONDS = 10.0
_ANSWER_SECONDS = 5.0

log = structlog.get_logger(__name__)


class OwnQueue:
    """Asks the broker, over a connection of its own, since who asks need not consume. Rarely: many who ask at
    once get one answer, and a broker that is away is not tried again at once."""

    def __init__(self, url: str, queue: str, app_id: str) -> None:
        self._url = url
        self._queue = queue
        self._app_id = app_id
        self._looking = asyncio.Lock()
        self._is_empty = False
        self._kept_until = 0.0

    async def is_empty(self) -> bool:
        """Whether no message waits there. What is delivered and not acknowledged does not count; of a broker
        that cannot be asked, it is not so."""
        async with self._looking:
            if time.monotonic() >= self._kept_until:
                waiting = await self._waiting()
                self._is_empty = waiting == 0
                kept = _KEPT_AFTER_FAILURE_SECONDS if waiting is None else _KEPT_SECONDS
                self._kept_until = time.monotonic() + kept
            return self._is_empty

    async def _waiting(self) -> int | None:
        try:
            with lost_connection_raised():
                async with asyncio.timeout(_ANSWER_SECONDS), await self._connected() as connection:
                    channel = await connection.channel()
                    queue = await channel.declare_queue(self._queue, passive=True)
                    return queue.declaration_result.message_count
        except BROKER_ERRORS as error:
            log.info("own_queue_unknown", queue=self._queue, error=repr(error))
            return None

    async def _connected(self) -> AbstractConnection:
        properties: FieldTable = {"connection_name": f"{self._app_id}:own-queue"}
        return await aio_pika.connect(
            self._url, timeout=CONNECT_TIMEOUT_SECONDS, client_properties=properties
        )
