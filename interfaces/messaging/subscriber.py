"""The own queue on RabbitMQ, through FastStream: acknowledged by hand, once the events are stored."""

from collections.abc import Iterable
from datetime import UTC, datetime

import structlog
from faststream import AckPolicy
from faststream.rabbit import RabbitBroker, RabbitExchange, RabbitMessage, RabbitQueue
from pamqp.commands import Basic

from domain.errors import BrokerUnavailable, Failure
from interfaces.messaging.consumer import MessageConsumer
from interfaces.messaging.envelope import Delivery
from projections.patience import Stopped

_PARK_TIMEOUT_SECONDS = 10.0
_REASON_LENGTH = 1000
_LONGEST_SHORT_TEXT = 255
"""Bytes; AMQP 0-9-1 takes no more in a property."""

log = structlog.get_logger(__name__)


class RabbitSubscription:
    """Feeds the consumer from the own queue and parks what it refuses on the dead-letter queue."""

    def __init__(
        self,
        broker: RabbitBroker,
        consumer: MessageConsumer,
        *,
        exchange: RabbitExchange,
        queue: RabbitQueue,
        dead_letter_queue: RabbitQueue,
        bindings: Iterable[str],
    ) -> None:
        self._broker = broker
        self._consumer = consumer
        self._exchange = exchange
        self._queue = queue
        self._dead_letter_queue = dead_letter_queue
        self._bindings = tuple(bindings)
        broker.subscriber(queue, ack_policy=AckPolicy.MANUAL, no_reply=True, decoder=as_it_is, parser=None)(
            self._receive
        )

    async def start(self, broker: RabbitBroker) -> None:
        """Declare and bind the queues, then consume."""
        exchange = await broker.declare_exchange(self._exchange)
        await broker.declare_queue(self._dead_letter_queue)
        queue = await broker.declare_queue(self._queue)
        for routing_key in self._bindings:
            await queue.bind(exchange, routing_key=routing_key)
        await broker.start()

    async def _receive(self, message: RabbitMessage) -> None:
        raw = message.raw_message
        delivery = Delivery(body=raw.body, routing_key=_routing_key(message), message_id=raw.message_id)

        async def park(parked: Delivery, reason: str) -> None:
            await self._park(parked, reason)

        try:
            await self._consumer.consume(delivery, park)
        except (Failure, Stopped) as failure:
            log.warning("message_returned", reason=str(failure))
            await self._consumer.pause()
            await message.nack(requeue=True)
        else:
            await message.ack()

    async def _park(self, delivery: Delivery, reason: str) -> None:
        message_id = delivery.message_id or ""
        fits = 0 < len(message_id.encode()) <= _LONGEST_SHORT_TEXT
        try:
            confirmation = await self._broker.publish(
                delivery.body,
                queue=self._dead_letter_queue,
                persist=True,
                timeout=_PARK_TIMEOUT_SECONDS,
                message_id=message_id if fits else None,
                timestamp=datetime.now(UTC),
                headers={
                    "x-reason": reason[:_REASON_LENGTH],
                    "x-original-message-id": message_id[:_REASON_LENGTH],
                    "x-original-routing-key": delivery.routing_key,
                    "x-original-queue": self._queue.name,
                },
            )
            if not isinstance(confirmation, Basic.Ack):
                await (await self._broker.declare_queue(self._dead_letter_queue)).declare()
                raise BrokerUnavailable(f"{self._dead_letter_queue.name} was missing")
        except BrokerUnavailable:
            raise
        except Exception as error:
            raise BrokerUnavailable(f"could not park a message: {error!r}") from error


def _routing_key(message: RabbitMessage) -> str:
    """The key that it came under; of what was parked and put straight into the queue again, the first one."""
    raw = message.raw_message
    first = raw.headers.get("x-original-routing-key") if raw.exchange == "" else None
    return first if isinstance(first, str) else raw.routing_key or ""


async def as_it_is(message: RabbitMessage) -> RabbitMessage:
    """The message itself: the neighbours send no content type for a decoder to go by.

    So it need not be injected either, which FastStream does with a thread and takes as long for as for the
    rest of a message.
    """
    return message
