"""A neighbour on a real RabbitMQ, which receives all messages of the service and sends any messages.

Every test has its own names on the broker, so that tests do not affect each other.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import aio_pika
import msgspec
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage

from domain.values import timestamp
from tests.harness import TENANT, eventually


@dataclass(frozen=True)
class Names:
    """The names of a test's exchange and queues."""

    exchange: str
    queue: str
    job_queue: str
    dead_letter_queue: str

    @classmethod
    def fresh(cls) -> "Names":
        """Return names that no other test has."""
        tag = f"test.{uuid4().hex[:12]}"
        return cls(f"{tag}.events", f"{tag}.own", f"{tag}.jobs", f"{tag}.own.dead_letter")

    def overlay(self, **more: Any) -> dict[str, Any]:
        """Return the settings for these names."""
        return {
            "rabbitmq": {
                "exchange": self.exchange,
                "queue": self.queue,
                "job_queue": self.job_queue,
                "dead_letter_queue": self.dead_letter_queue,
                **more,
            }
        }


@dataclass
class Neighbour:
    """A connection to the broker beside the service's own."""

    names: Names
    connection: AbstractConnection
    channel: AbstractChannel
    exchange: AbstractExchange
    seen: list[AbstractIncomingMessage] = field(default_factory=list)

    def messages(self, message_type: str | None = None) -> list[dict[str, Any]]:
        """Return the bodies of the messages that the service has published so far, in order."""
        bodies = [msgspec.json.decode(message.body) for message in self.seen]
        ours = [body for body in bodies if _service_of(body) != "a-neighbour"]
        return [body for body in ours if message_type in (None, body["type"])]

    async def expect(self, message_type: str, count: int = 1, seconds: float = 15.0) -> list[dict[str, Any]]:
        """Wait for a number of messages of a type, and return them."""

        async def enough() -> bool:
            return len(self.messages(message_type)) >= count

        await eventually(enough, seconds=seconds)
        return self.messages(message_type)

    async def send(
        self,
        message_type: str,
        data: Mapping[str, Any],
        *,
        tenant: str = TENANT,
        message_id: str | None = None,
        **changes: Any,
    ) -> str:
        """Publish a message as a neighbour does, without a content type. Return its ID."""
        message_id = message_id or str(uuid4())
        body = {
            "id": message_id,
            "type": message_type,
            "version": "1.0",
            "timestamp": timestamp(datetime.now(UTC)),
            "tenantId": tenant,
            "source": {"service": "a-neighbour", "instance": "a-neighbour-1"},
            "data": data,
            **changes,
        }
        await self.send_raw(message_type, msgspec.json.encode(body))
        return message_id

    async def send_raw(self, routing_key: str, body: bytes, **properties: Any) -> None:
        """Publish any bytes."""
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **properties)
        await self.exchange.publish(message, routing_key)

    async def queued(self, queue: str) -> int:
        """Return the number of messages in a queue, 0 if it does not exist yet."""
        async with self.connection.channel() as channel:
            try:
                declared = await channel.declare_queue(queue, passive=True)
            except aio_pika.exceptions.ChannelNotFoundEntity:
                return 0
            return declared.declaration_result.message_count or 0

    async def take(self, queue: str, seconds: float = 15.0) -> AbstractIncomingMessage:
        """Return the next message of a queue, and acknowledge it."""
        source = await self.channel.get_queue(queue)

        async def one() -> AbstractIncomingMessage | None:
            return await source.get(fail=False)

        message: AbstractIncomingMessage = await eventually(one, seconds=seconds)
        await message.ack()
        return message


@asynccontextmanager
async def neighbour(url: str, names: Names, *, clean: bool = True) -> AsyncIterator[Neighbour]:
    """Yield a neighbour that receives everything on the test's exchange. The queues are deleted afterwards,
    unless ``clean`` is false, because the broker will be stopped or the queues are still needed.
    """
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(names.exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        spy = await channel.declare_queue(f"{names.queue}.spy", durable=True)
        await spy.bind(exchange, "#")
        seen: list[AbstractIncomingMessage] = []

        async def note(message: AbstractIncomingMessage) -> None:
            seen.append(message)
            await message.ack()

        consumer = await spy.consume(note)
        try:
            yield Neighbour(names, connection, channel, exchange, seen)
        finally:
            with contextlib.suppress(aio_pika.exceptions.AMQPError):
                if clean:
                    await spy.cancel(consumer)
                    await _forget(channel, names)


async def forget(url: str, names: Names) -> None:
    """Delete a test's exchange and queues, after its services have ended."""
    connection = await aio_pika.connect(url)
    async with connection:
        await _forget(await connection.channel(), names)


async def _forget(channel: AbstractChannel, names: Names) -> None:
    for queue in (f"{names.queue}.spy", names.queue, names.job_queue, names.dead_letter_queue):
        await channel.queue_delete(queue)
    await channel.exchange_delete(names.exchange)


def _service_of(body: Mapping[str, Any]) -> str:
    source = body.get("source")
    return str(source.get("service")) if isinstance(source, Mapping) else str(source)
