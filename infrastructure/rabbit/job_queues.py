"""The queues of jobs' triggers: declared and bound, so that triggers wait there before any worker starts."""

import structlog
from aio_pika.exceptions import ChannelClosed, ChannelNotFoundEntity, ChannelPreconditionFailed

from infrastructure.rabbit.connection import RabbitConnection
from infrastructure.rabbit.topology import RabbitNames

log = structlog.get_logger(__name__)


class JobQueues:
    """Each is declared alone: what the broker says of one is no reason to do without the others."""

    def __init__(self, names: RabbitNames) -> None:
        self._names = names

    async def declare(self, connection: RabbitConnection) -> None:
        """See that each queue is there and bound, as far as the broker allows it.

        Raises:
            AMQPError: the broker is away; or a part of it, and 404 NOT_FOUND is said of a durable queue whose
                home that is. It passes, so no trigger is given up for it.
        """
        for message_type, queue in self._names.job_queues.items():
            try:
                await self._declare(connection, queue, self._names.wire_type(message_type))
            except ChannelNotFoundEntity:
                raise
            except ChannelClosed as error:
                log.error(
                    "job_queue_refused",
                    queue=queue,
                    message_type=message_type,
                    error=str(error),
                    what="a trigger that no queue takes fails its run",
                )

    async def _declare(self, connection: RabbitConnection, queue: str, wire_type: str) -> None:
        try:
            async with connection.channel() as channel:
                await channel.declare_queue(queue, durable=True)
        except ChannelPreconditionFailed:
            log.info("job_queue_taken_as_it_is", queue=queue, why="the worker has declared it otherwise")
        async with connection.channel() as channel:
            there = await channel.declare_queue(queue, passive=True)
            await there.bind(self._names.exchange, wire_type)
