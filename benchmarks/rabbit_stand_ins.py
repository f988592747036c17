"""The stand-ins on RabbitMQ, which answer the service's requests and count completed workflows."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

from benchmarks.service import TENANT
from benchmarks.stand_ins import COMPLETED, REQUESTS, STARTING, Workflows, message, reply_to
from tests.neighbours import Names

PATIENCE_SECONDS = 120.0


async def workflows_a_second(url: str, names: Names, total: int, at_once: int) -> float:
    """Start workflows by messages, ``at_once`` concurrently, answer their steps, and wait until all are
    completed. Return the rate from the first message that is sent to the last completion that arrives.

    Messages are persistent, as the neighbours' are. They are neither confirmed nor acknowledged, to keep the
    load of this process low.

    Raises:
        TimeoutError: not all workflows were completed.
        ValueError: a completion was wrong, or came twice.
    """
    workflows = Workflows(total, at_once)
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with _bound_queue(url, names) as (exchange, queue):

        async def send(message_type: str, body: bytes) -> None:
            sent = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await exchange.publish(sent, message_type)

        async def begin(opportunities: list[str]) -> None:
            for opportunity in opportunities:
                await send(STARTING, message(STARTING, TENANT, {"opportunityId": opportunity}))

        async def take(incoming: AbstractIncomingMessage) -> None:
            try:
                if incoming.routing_key == COMPLETED:
                    await begin(workflows.next_after(incoming.body))
                    if workflows.are_done and not done.done():
                        done.set_result(None)
                else:
                    await send(*reply_to(str(incoming.routing_key), incoming.body))
            except ValueError as error:
                if not done.done():
                    done.set_exception(error)

        await queue.consume(take, no_ack=True)
        began = time.perf_counter()
        await begin(workflows.first())
        try:
            await asyncio.wait_for(done, PATIENCE_SECONDS)
        except TimeoutError:
            raise TimeoutError(f"{workflows.completed} of {total} workflows completed") from None
        return total / (time.perf_counter() - began)


@asynccontextmanager
async def _bound_queue(
    url: str, names: Names
) -> AsyncIterator[tuple[AbstractExchange, aio_pika.abc.AbstractQueue]]:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=False)
        exchange = await channel.declare_exchange(names.exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(exclusive=True)
        for key in (*REQUESTS, COMPLETED):
            await queue.bind(exchange, key)
        yield exchange, queue
