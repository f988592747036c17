"""Messages over RabbitMQ."""

from collections.abc import Iterable, Mapping

from anyio.abc import TaskGroup

from application.integration import Source
from application.parked import ParkedMessages
from application.ports import Clock
from config.sections import Settings
from domain.errors import BrokerUnavailable
from infrastructure.rabbit.connection import RabbitConnection
from infrastructure.rabbit.own_queue import OwnQueue
from infrastructure.rabbit.parked import RabbitParkedMessages
from infrastructure.rabbit.publisher import RabbitPublisher
from infrastructure.rabbit.queues import declare_what_is_consumed
from infrastructure.rabbit.topology import PlainQueue, RabbitNames, topic_exchange
from interfaces.messaging.consumer import MessageConsumer
from interfaces.messaging.messages import CONSUMED
from interfaces.messaging.subscriber import RabbitSubscription
from interfaces.rest.metrics import Metrics
from interfaces.rest.root import Check

GRACEFUL_SECONDS = 4.0


class RabbitTransport:
    """Two connections, so that a broker that slows publishers down does not slow acknowledgements."""

    def __init__(
        self,
        settings: Settings,
        source: Source,
        consumer: MessageConsumer,
        metrics: Metrics,
        message_types: Iterable[str],
        clock: Clock,
    ) -> None:
        rabbit = settings.rabbitmq
        self._roles = settings.service.roles
        url = rabbit.url.get_secret_value()
        self.names = RabbitNames(
            exchange=rabbit.exchange,
            queue=rabbit.queue,
            job_queue=rabbit.job_queue,
            dead_letter_queue=rabbit.dead_letter_queue,
            type_aliases=rabbit.type_aliases,
            more_job_queues=settings.batch_jobs.queues,
            bindings=bindings_of(rabbit.type_aliases, message_types),
        )
        self._consumer = consumer
        self._outgoing = RabbitConnection(url, purpose="publish", app_id=source.service, graceful_seconds=0)
        self._incoming = RabbitConnection(
            url,
            purpose="consume",
            app_id=source.service,
            prefetch=rabbit.prefetch,
            graceful_seconds=0,
        )
        self.publisher = RabbitPublisher(
            self._outgoing,
            self.names,
            source,
            in_flight=rabbit.publish_in_flight,
            count=metrics.message_published,
            count_refused=metrics.message_refused,
        )
        self.parked: ParkedMessages = RabbitParkedMessages(url, self.names, source.service)
        self._own_queue = OwnQueue(url, rabbit.queue, source.service)
        self._subscription = RabbitSubscription(
            self._incoming.broker,
            consumer,
            exchange=topic_exchange(rabbit.exchange),
            queue=PlainQueue(rabbit.queue, routing_key=self.names.bindings[0]),
            dead_letter_queue=PlainQueue(rabbit.dead_letter_queue),
            bindings=self.names.bindings,
            clock=clock,
        )

    def start(self, tasks: TaskGroup) -> None:
        """Connect in the background, in the directions that this process's roles need."""
        if "publisher" in self._roles:
            tasks.start_soon(self.publisher.run)
        if "consumer" in self._roles:
            tasks.start_soon(self._incoming.keep, self._subscription.start, self._look_at_what_is_consumed)

    async def stop_taking_in(self) -> None:
        """Stop consuming. What is not acknowledged goes back to the queue."""
        self._consumer.stop()
        self._outgoing.hurry()
        await self._subscription.stop(GRACEFUL_SECONDS)
        await self._incoming.close()

    async def close(self) -> None:
        """Disconnect."""
        await self._outgoing.close()

    async def check(self) -> Check:
        """Return that it is down while a connection is down that this process's roles need."""
        needed = {"publisher": self._outgoing, "consumer": self._incoming}
        connections = [connection for role, connection in needed.items() if role in self._roles]
        for connection in connections:
            if not connection.is_up:
                return Check("down", f"{connection.purpose}: {connection.error}")
        return Check("up") if connections else Check("off", "neither consumer nor publisher is a role here")

    async def _look_at_what_is_consumed(self) -> None:
        if not await self._subscription.is_consuming():
            raise BrokerUnavailable(f"{self.names.queue} is not consumed any more: was it deleted?")
        await declare_what_is_consumed(self._incoming, self.names)

    async def is_taken_in(self) -> bool:
        """Return whether no message waits in the own queue. If the broker is away, that is not known."""
        return await self._own_queue.is_empty()


def bindings_of(aliases: Mapping[str, str], more: Iterable[str]) -> list[str]:
    """Return the routing keys of the own queue: every useful type, and its alias if there is one."""
    types = [*CONSUMED, *sorted(set(more) - set(CONSUMED))]
    return [*types, *(aliases[each] for each in types if each in aliases)]
