"""Confirmed publishing with the libraries alone: persistent messages of 600 bytes, 256 in flight.

    python -m benchmarks.reference_publisher faststream|aio-pika URL EXCHANGE ROUTING_KEY COUNT

Prints messages per second, until the last one is confirmed.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aio_pika
import uvloop
from faststream.rabbit import ExchangeType, RabbitBroker, RabbitExchange

from benchmarks.wire import IN_FLIGHT

BODY = b'{"data":"' + b"x" * 589 + b'"}'

Publish = Callable[[], Awaitable[object]]


@asynccontextmanager
async def by_faststream(url: str, exchange: str, routing_key: str) -> AsyncIterator[Publish]:
    """Yield a function that publishes with FastStream, with the properties that the wire contract
    requires."""
    target = RabbitExchange(exchange, type=ExchangeType.TOPIC, durable=True)
    async with RabbitBroker(url, logger=None) as broker:
        yield lambda: broker.publish(
            BODY,
            exchange=target,
            routing_key=routing_key,
            persist=True,
            content_type="application/json",
        )


@asynccontextmanager
async def by_aio_pika(url: str, exchange: str, routing_key: str) -> AsyncIterator[Publish]:
    """Yield a function that publishes with aio-pika, on which FastStream is built."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        target = await channel.get_exchange(exchange)

        def publish() -> Awaitable[object]:
            mode = aio_pika.DeliveryMode.PERSISTENT
            message = aio_pika.Message(BODY, delivery_mode=mode, content_type="application/json")
            return target.publish(message, routing_key)

        yield publish


LIBRARIES = {"faststream": by_faststream, "aio-pika": by_aio_pika}


async def published_a_second(library: str, url: str, exchange: str, routing_key: str, count: int) -> float:
    """Return the rate until the last message is confirmed."""
    async with LIBRARIES[library](url, exchange, routing_key) as publish:
        waiting = iter(range(count))

        async def work() -> None:
            for _ in waiting:
                await publish()

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        return count / (time.perf_counter() - began)


if __name__ == "__main__":
    given_library, given_url, given_exchange, given_key, given_count = sys.argv[1:]
    print(
        uvloop.run(published_a_second(given_library, given_url, given_exchange, given_key, int(given_count)))
    )
