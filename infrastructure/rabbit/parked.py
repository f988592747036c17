"""The dead-letter queue on RabbitMQ, looked into.

A queue has no way to look at a message but to take it. What is taken here is acknowledged only once it is
seen to; all else goes back, to where it was, when the channel ends, whatever ends it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import ChannelNotFoundEntity

from application.parked import (
    MESSAGE_ID_HEADER,
    REASON_HEADER,
    ROUTING_KEY_HEADER,
    Parked,
    ParkedMessage,
    not_there,
)
from domain.errors import BrokerUnavailable
from infrastructure.rabbit.connection import BROKER_ERRORS, RabbitConnection, lost_connection_raised

_MOST_LOOKED_THROUGH = 10_000
_TIMEOUT_SECONDS = 10.0


class RabbitParkedMessages:
    """Those in a dead-letter queue; ``queue`` is where they came from, and are sent back to."""

    def __init__(self, connection: RabbitConnection, *, dead_letter_queue: str, queue: str) -> None:
        self._connection = connection
        self._dead_letter_queue = dead_letter_queue
        self._queue = queue
        self._turn = asyncio.Lock()

    async def look(self, limit: int) -> Parked:
        """The oldest, up to so many."""
        async with self._opened() as (_, queue):
            if queue is None:
                return Parked([], 0)
            total = queue.declaration_result.message_count or 0
            return Parked([_parked(each) async for each in _taken(queue, limit)], total)

    async def find(self, id: str) -> ParkedMessage:
        """One.

        Raises:
            ParkedMessageNotFound: it is not there, or not any more.
        """
        async with self._found(id) as (_, message):
            return _parked(message)

    async def requeue(self, id: str) -> ParkedMessage:
        """Have one handled again: sent to the queue, confirmed, and only then taken out here.

        Raises:
            ParkedMessageNotFound: it is not there, or not any more.
        """
        async with self._found(id) as (channel, message):
            parked = _parked(message)
            again = Message(
                message.body,
                delivery_mode=DeliveryMode.PERSISTENT,
                message_id=message.message_id,
                headers={ROUTING_KEY_HEADER: parked.routing_key},
            )
            await channel.default_exchange.publish(again, self._queue, timeout=_TIMEOUT_SECONDS)
            await message.ack()
            return parked

    async def discard(self, id: str) -> ParkedMessage:
        """Throw one away, for good.

        Raises:
            ParkedMessageNotFound: it is not there, or not any more.
        """
        async with self._found(id) as (_, message):
            await message.ack()
            return _parked(message)

    @asynccontextmanager
    async def _found(self, id: str) -> AsyncIterator[tuple[AbstractChannel, AbstractIncomingMessage]]:
        async with self._opened() as (channel, queue):
            if queue is not None:
                async for message in _taken(queue, _MOST_LOOKED_THROUGH):
                    if _parked(message).id == id:
                        yield channel, message
                        return
            raise not_there(id)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[AbstractChannel, AbstractQueue | None]]:
        """The queue, or nothing where nobody has declared it yet."""
        if not self._connection.is_up:
            raise BrokerUnavailable(self._connection.error or "not connected")
        try:
            async with self._turn, asyncio.timeout(_TIMEOUT_SECONDS):
                with lost_connection_raised():
                    async with self._connection.channel(confirms=True) as channel:
                        yield channel, await _there(channel, self._dead_letter_queue)
        except BROKER_ERRORS as error:
            raise BrokerUnavailable(f"{self._dead_letter_queue}: {error!r}") from error


async def _there(channel: AbstractChannel, name: str) -> AbstractQueue | None:
    try:
        return await channel.get_queue(name)
    except ChannelNotFoundEntity:
        return None


async def _taken(queue: AbstractQueue, most: int) -> AsyncIterator[AbstractIncomingMessage]:
    for _ in range(most):
        message = await queue.get(fail=False)
        if message is None:
            return
        yield message


def _parked(message: AbstractIncomingMessage) -> ParkedMessage:
    headers = message.headers
    return ParkedMessage(
        reason=str(headers.get(REASON_HEADER, "")),
        parked_at=message.timestamp or datetime.fromtimestamp(0, UTC),
        routing_key=str(headers.get(ROUTING_KEY_HEADER, "")),
        message_id=str(headers.get(MESSAGE_ID_HEADER, "")),
        body=message.body,
    )
