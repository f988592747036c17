"""A neighbour on a real RabbitMQ: it sees all that the service publishes, and sends what it likes.

Every test has names of its own on the broker, so that tests do not meet there.
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
    """What a test's exchange and queues are called."""

    exchange: str
    queue: str
    job_queue: str
    dead_letter_queue: str

    @classmethod
    def fresh(cls) -> "Names":
        """Names that no other test has."""
        tag = f"test.{uuid4().hex[:12]}"
        return cls(f"{tag}.events", f"{tag}.own", f"{tag}.jobs", f"{tag}.own.dead_letter")

    def overlay(self, **more: Any) -> dict[str, Any]:
        """The settings that go with them."""
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
        """The bodies of what the service has published so far, in order."""
        bodies = [msgspec.json.decode(message.body) for message in self.seen]
        ours = [body for body in bodies if _service_of(body) != "a-neighbour"]
        return [body for body in ours if message_type in (None, body["type"])]

    async def expect(self, message_type: str, count: int = 1, seconds: float = 15.0) -> list[dict[str, Any]]:
        """Wait for that many messages of a type, and return them."""

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
        """Publish an event as a neighbour does: no content type. The id is returned."""
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
        """How many messages wait in a queue; none in one that nobody has made yet."""
        async with self.connection.channel() as channel:
            try:
                declared = await channel.declare_queue(queue, passive=True)
            except aio_pika.exceptions.ChannelNotFoundEntity:
                return 0
            return declared.declaration_result.message_count or 0

    async def take(self, queue: str, seconds: float = 15.0) -> AbstractIncomingMessage:
        """The next message of a queue, acknowledged."""
        source = await self.channel.get_queue(queue)

        async def one() -> AbstractIncomingMessage | None:
            return await source.get(fail=False)

        message: AbstractIncomingMessage = await eventually(one, seconds=seconds)
        await message.ack()
        return message


@asynccontextmanager
async def neighbour(url: str, names: Names, *, clean: bool = True) -> AsyncIterator[Neighbour]:
    """A neighbour that listens to everything on the test's exchange; its queues are deleted afterwards.

    ``clean`` is false where the broker is about to stop, or the queues are to outlive this neighbour.
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
    """Delete all that a test has made on the broker, once its services have ended."""
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
