"""The queues that must be there before anything is published: for triggers, and for what is answered to it.

So triggers wait before any worker starts, and answers before the service has ever consumed.
"""

from collections.abc import Sequence

import structlog
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import ChannelClosed, ChannelNotFoundEntity, ChannelPreconditionFailed

from infrastructure.rabbit.connection import RabbitConnection
from infrastructure.rabbit.topology import RabbitNames

log = structlog.get_logger(__name__)


class Queues:
    """Each is declared alone: what the broker says of one is no reason to do without the others."""

    def __init__(self, names: RabbitNames) -> None:
        self._names = names
        self._told: dict[str, str] = {}

    async def declare(self, connection: RabbitConnection) -> None:
        """See that each queue is there and bound, as far as the broker allows it.

        Raises:
            AMQPError: the broker is away; or a part of it, and 404 NOT_FOUND is said of a durable queue whose
                home that is. It passes, so no trigger is given up for it.
        """
        for queue, routing_keys in self._names.queues:
            try:
                await self._declare(connection, queue, routing_keys)
            except ChannelNotFoundEntity:
                raise
            except ChannelClosed as error:
                self._tell_once(queue, routing_keys, str(error))
            else:
                self._told.pop(queue, None)

    def _tell_once(self, queue: str, routing_keys: Sequence[str], error: str) -> None:
        if self._told.get(queue) == error:
            return
        self._told[queue] = error
        log.error(
            "queue_refused",
            queue=queue,
            routing_keys=routing_keys,
            error=error,
            what="a trigger that no queue takes fails its run; an answer that none takes is lost",
        )

    async def _declare(self, connection: RabbitConnection, queue: str, routing_keys: Sequence[str]) -> None:
        try:
            async with connection.channel() as channel:
                await channel.declare_queue(queue, durable=True)
        except ChannelPreconditionFailed:
            log.debug("queue_taken_as_it_is", queue=queue, why="somebody has declared it otherwise")
        async with connection.channel() as channel:
            there = await channel.declare_queue(queue, passive=True)
            for routing_key in routing_keys:
                await there.bind(self._names.exchange, routing_key)


async def declare_exchange(channel: AbstractChannel, name: str) -> AbstractExchange:
    """The platform's once more, not by FastStream, which remembers what it has declared."""
    return await channel.declare_exchange(name, ExchangeType.TOPIC, durable=True)


async def declare_what_is_consumed(connection: RabbitConnection, names: RabbitNames) -> None:
    """See that the own queue is there and bound, and the one for what it cannot handle.

    Raises:
        AMQPError: the broker has something else there, or is away.
    """
    async with connection.channel() as channel:
        await declare_exchange(channel, names.exchange)
        await channel.declare_queue(names.dead_letter_queue, durable=True)
        queue = await channel.declare_queue(names.queue, durable=True)
        for routing_key in names.bindings:
            await queue.bind(names.exchange, routing_key)
