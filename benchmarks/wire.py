"""Counts published messages by the length of a queue that nobody reads.

A consumer would take a large part of a core; asking for the length every few milliseconds takes almost
nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractExchange

from tests.neighbours import Names

PATIENCE_SECONDS = 120.0
IN_FLIGHT = 256


@dataclass(frozen=True)
class Arrived:
    """The arrival of messages, in times of ``time.perf_counter()``."""

    first: float
    last: float
    at_first: int
    """How many messages there were when the first was seen."""

    count: int

    @property
    def a_second(self) -> float:
        """Messages per second between the first one that was seen and the last.

        Raises:
            RuntimeError: all messages came between two measurements of the length.
        """
        if not self.at_first:
            raise RuntimeError("the messages came too fast, or were too few, to tell how fast")
        return (self.count - self.at_first) / (self.last - self.first)


class Wire:
    """A durable queue on the service's exchange, to count and publish messages."""

    def __init__(self, channel: AbstractChannel, exchange: AbstractExchange, queue: str) -> None:
        self._channel = channel
        self._exchange = exchange
        self.queue = queue

    async def count(self, queue: str | None = None) -> int:
        """Return how many messages are in the queue, or in another one."""
        declared = await self._channel.declare_queue(queue or self.queue, passive=True)
        return declared.declaration_result.message_count or 0

    async def until(self, count: int, every: float = 0.004) -> Arrived:
        """Wait for ``count`` messages.

        Raises:
            TimeoutError: fewer messages came.
            RuntimeError: more messages came.
        """
        first, at_first = 0.0, 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (found := await self.count()) < count:
                if found and not at_first:
                    first, at_first = time.perf_counter(), found
                await asyncio.sleep(every)
        if found > count:
            raise RuntimeError(f"{found} messages came, and not {count}")
        return Arrived(first, time.perf_counter(), at_first, found)

    async def take_all(self) -> list[bytes]:
        """Remove all messages from the queue, and return their bodies."""
        queue = await self._channel.get_queue(self.queue)
        bodies: list[bytes] = []
        for _ in range(await self.count()):
            message = await queue.get(no_ack=True)
            bodies.append(message.body)
        return bodies

    async def publish(self, routing_key: str, bodies: Sequence[bytes]) -> None:
        """Publish messages as neighbours do: persistent, confirmed, without a content type."""
        waiting = iter(bodies)

        async def work() -> None:
            for body in waiting:
                message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await self._exchange.publish(message, routing_key)

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))


@asynccontextmanager
async def wire(url: str, names: Names, routing_key: str | None = None) -> AsyncIterator[Wire]:
    """Connect to the broker, with a queue for messages with a ``routing_key``. The queue's name is derived
    from ``names`` (``benchmarks.stores.broker``).
    """
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(names.exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        spy = f"{names.queue}.spy"
        if routing_key:
            queue = await channel.declare_queue(spy, durable=True)
            await queue.bind(exchange, routing_key)
            await queue.purge()
        yield Wire(channel, exchange, spy)
