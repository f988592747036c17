"""A FastStream subscriber that does nothing: the minimal cost of consuming messages from RabbitMQ.

    python -m benchmarks.reference_subscriber URL QUEUE COUNT PREFETCH

It acknowledges manually, as the service does, and prints messages per second between the first and the last.
"""

import asyncio
import sys
import time

import uvloop
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue


async def consumed_a_second(url: str, queue: str, count: int, prefetch: int) -> float:
    """Return the rate until ``count`` messages have been acknowledged."""
    broker = RabbitBroker(url, default_channel=Channel(prefetch_count=prefetch), logger=None)
    done = asyncio.Event()
    handled, first = 0, 0.0

    @broker.subscriber(RabbitQueue(queue, declare=False), ack_policy=AckPolicy.MANUAL, no_reply=True)
    async def handle(body: object, message: RabbitMessage) -> None:
        nonlocal handled, first
        first = first or time.perf_counter()
        await message.ack()
        handled += 1
        if handled == count:
            done.set()

    async with broker:
        await broker.start()
        await done.wait()
        return (count - 1) / (time.perf_counter() - first)


if __name__ == "__main__":
    print(uvloop.run(consumed_a_second(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
