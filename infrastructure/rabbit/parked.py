"""Parked messages on RabbitMQ. They are read over a short connection; when it ends, the broker puts back what
was not taken.

A message is held unacknowledged while it is looked at, and the broker puts it back in its place when the
connection closes, for whatever reason. An exclusive queue beside the dead-letter queue is the lock: its owner
is alone with the messages, across all instances, and it disappears with the connection.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aio_pika
import msgspec
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractIncomingMessage,
    AbstractQueue,
    DeliveryMode,
)
from aiormq.exceptions import ChannelLockedResource
from pamqp.commands import Basic
from pamqp.common import FieldTable

from application.parked import MOST_LOOKED_AT, ParkedMessage, not_parked, parked
from domain.errors import BrokerUnavailable, Failure, MessageUnroutable, ParkedMessagesHeld
from infrastructure.rabbit.connection import BROKER_ERRORS, CONNECT_TIMEOUT_SECONDS, lost_connection_raised
from infrastructure.rabbit.topology import RabbitNames

ORIGINAL_ROUTING_KEY = "x-original-routing-key"

_ANSWER_SECONDS = 20.0
_TURN_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


class _Desk(msgspec.Struct, frozen=True):
    """The parked messages, for the holder of the lock."""

    channel: AbstractChannel
    queue: AbstractQueue


class RabbitParkedMessages:
    """The messages on the dead-letter queue."""

    def __init__(self, url: str, names: RabbitNames, app_id: str) -> None:
        self._url = url
        self._names = names
        self._app_id = app_id

    async def oldest(self) -> tuple[Sequence[ParkedMessage], int]:
        """Return the first parked messages, and how many there are."""
        async with self._desk() as desk:
            total = desk.queue.declaration_result.message_count or 0
            return [_read(message) async for message in _each(desk)], total

    async def find(self, id: str) -> tuple[ParkedMessage, bytes]:
        """Return one message with its body."""
        async with self._desk() as desk:
            found, message = await _the(id, desk)
            return found, message.body

    async def requeue(self, id: str, note: Callable[[ParkedMessage], None]) -> ParkedMessage:
        """Publish a message to the service's own queue, and delete it here once the broker has confirmed
        that.

        Raises:
            MessageUnroutable: that queue does not exist.
        """
        async with self._desk() as desk:
            found, message = await _the(id, desk)
            note(found)
            again = aio_pika.Message(
                message.body,
                message_id=message.message_id,
                delivery_mode=DeliveryMode.PERSISTENT,
                timestamp=datetime.now(UTC),
                app_id=self._app_id,
                headers={ORIGINAL_ROUTING_KEY: found.routing_key},
            )
            confirmation = await desk.channel.default_exchange.publish(again, self._names.queue)
            if not isinstance(confirmation, Basic.Ack):
                raise MessageUnroutable(f"{self._names.queue} is missing")
            await message.ack()
            return found

    async def discard(self, id: str, note: Callable[[ParkedMessage], None]) -> ParkedMessage:
        """Delete a message for good."""
        async with self._desk() as desk:
            found, message = await _the(id, desk)
            note(found)
            await message.ack()
            return found

    @asynccontextmanager
    async def _desk(self) -> AsyncIterator[_Desk]:
        try:
            with lost_connection_raised():
                async with asyncio.timeout(_ANSWER_SECONDS):
                    properties: FieldTable = {"connection_name": f"{self._app_id}:parked"}
                    connection = await aio_pika.connect(
                        self._url, timeout=CONNECT_TIMEOUT_SECONDS, client_properties=properties
                    )
                    async with connection:
                        channel = await self._alone(connection)
                        queue = await channel.declare_queue(self._names.dead_letter_queue, durable=True)
                        yield _Desk(channel, queue)
        except Failure:
            raise
        except BROKER_ERRORS as error:
            raise BrokerUnavailable(f"the parked messages cannot be reached: {error!r}") from error

    async def _alone(self, connection: AbstractConnection) -> AbstractChannel:
        """Return a channel that holds the lock."""
        until = asyncio.get_running_loop().time() + _TURN_SECONDS
        while True:
            channel = await connection.channel()
            try:
                await channel.declare_queue(f"{self._names.dead_letter_queue}.looked_at", exclusive=True)
            except ChannelLockedResource:
                if asyncio.get_running_loop().time() > until:
                    raise ParkedMessagesHeld("somebody else is at the parked messages; try again") from None
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return channel


async def _each(desk: _Desk) -> AsyncIterator[AbstractIncomingMessage]:
    for _ in range(MOST_LOOKED_AT):
        message = await desk.queue.get(fail=False)
        if message is None:
            return
        yield message


async def _the(id: str, desk: _Desk) -> tuple[ParkedMessage, AbstractIncomingMessage]:
    async for message in _each(desk):
        if (found := _read(message)).id == id:
            return found, message
    raise not_parked(id)


def _read(message: AbstractIncomingMessage) -> ParkedMessage:
    def header(name: str) -> str:
        value = message.headers.get(name, "")
        return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

    return parked(
        message.body,
        message_id=header("x-original-message-id"),
        reason=header("x-reason"),
        routing_key=header(ORIGINAL_ROUTING_KEY),
        parked_at=message.timestamp,
    )
