"""How messages are sent and received: by RabbitMQ if it is configured, or else by a bus within the
process."""

from collections.abc import Collection
from typing import Protocol

from anyio.abc import TaskGroup

from application.chains import Chains
from application.dispatcher import Dispatcher
from application.integration import Source
from application.parked import ParkedMessages, parked
from application.ports import Clock, Publisher
from application.triggers import ShippedTriggers
from config.definitions import received_types
from config.foundation import Foundation
from config.start import CannotStart
from infrastructure.memory.bus import InProcessBus
from infrastructure.memory.parked import InProcessParkedMessages
from interfaces.definitions.triggers import TenantTriggers
from interfaces.messaging.consumer import MessageConsumer
from interfaces.messaging.envelope import Delivery
from interfaces.rest.metrics import Metrics
from interfaces.rest.root import Check


class Transport(Protocol):
    """Both directions of one broker."""

    @property
    def publisher(self) -> Publisher:
        """What sends messages."""
        ...

    @property
    def parked(self) -> ParkedMessages:
        """The received messages that can never be handled."""
        ...

    def start(self, tasks: TaskGroup) -> None:
        """Begin to receive and to send, whether or not the broker is there yet."""
        ...

    async def stop_taking_in(self) -> None:
        """Receive nothing more, and finish what is under way."""
        ...

    async def close(self) -> None:
        """Send nothing more."""
        ...

    async def check(self) -> Check:
        """Return the state of the broker."""
        ...

    async def is_taken_in(self) -> bool:
        """Return whether no message is known to wait, or may wait, to be received."""
        ...


def build_consumer(foundation: Foundation, dispatch: Dispatcher) -> MessageConsumer:
    """Build what handles each received message."""
    settings, stores = foundation.settings, foundation.stores
    return MessageConsumer(
        dispatch,
        triggers=TenantTriggers(
            ShippedTriggers(list(foundation.shipped.by_name.values())),
            stores.documents,
            foundation.projections.definitions.container,
        ),
        chains=Chains(stores.event_store, settings.service.name),
        at_once=settings.rabbitmq.at_once,
        opportunity_shard_types=settings.workflows.opportunity_shard_types,
        documented_type={alias: documented for documented, alias in settings.rabbitmq.type_aliases.items()},
        count=foundation.metrics.message_consumed,
    )


def build_transport(foundation: Foundation, consumer: MessageConsumer) -> Transport:
    """Build the transport that the settings ask for.

    Raises:
        CannotStart: there is none, and other instances may rely on this one to publish for them.
    """
    settings, source, metrics = foundation.settings, foundation.source, foundation.metrics
    received = received_types(settings, foundation.shipped.by_name.values())
    if settings.rabbitmq.url.get_secret_value():
        from config.rabbit_transport import RabbitTransport

        return RabbitTransport(settings, source, consumer, metrics, received, foundation.clock)
    if settings.storage.is_shared:
        raise CannotStart(
            "rabbitmq.url is not set: the messages of all instances on the event store would stay within"
            " this process; set RABBITMQ_URL"
        )
    return InProcessTransport(
        source, consumer, metrics, received, foundation.clock, at_once=settings.rabbitmq.prefetch
    )


class InProcessTransport:
    """The embedded mode's bus."""

    def __init__(
        self,
        source: Source,
        consumer: MessageConsumer,
        metrics: Metrics,
        message_types: Collection[str],
        clock: Clock,
        *,
        at_once: int,
    ) -> None:
        self.bus = InProcessBus(source, count=metrics.message_published)
        self.publisher: Publisher = self.bus
        self._consumer = consumer
        self._clock = clock
        self._queue = self.bus.subscribe(source.service, message_types, self._receive, at_once=at_once)
        self._kept = InProcessParkedMessages(self._queue.put)
        self.parked: ParkedMessages = self._kept

    def start(self, tasks: TaskGroup) -> None:
        """Deliver what is sent."""
        for queue in self.bus.queues:
            tasks.start_soon(queue.run)

    async def stop_taking_in(self) -> None:
        """Close every subscription."""
        self._consumer.stop()
        self.bus.close()

    async def close(self) -> None:
        """Do nothing: nothing is left to close."""

    async def check(self) -> Check:
        """Return that the bus has no broker, by configuration."""
        return Check("off", "rabbitmq.url is not set: messages stay within this process")

    async def is_taken_in(self) -> bool:
        """Return whether no message waits in the bus."""
        return self._queue.is_empty

    async def _receive(self, message_type: str, body: bytes) -> None:
        await self._consumer.consume(Delivery(body=body, routing_key=message_type), self._park)

    async def _park(self, delivery: Delivery, reason: str) -> None:
        """Keep a message in memory. Only the last ones are kept, and they are gone with the process."""
        message = parked(
            delivery.body,
            message_id=delivery.message_id or "",
            reason=reason,
            routing_key=delivery.routing_key,
            parked_at=self._clock.now(),
        )
        self._kept.park(message, delivery.body)
