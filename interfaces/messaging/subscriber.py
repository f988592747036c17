"""The service's own queue on RabbitMQ. Messages are acknowledged by hand, once their events are stored.

FastStream connects and declares. Messages are taken directly from the queue that it declared, because the
layers above take as long again for each (``python -m benchmarks consume``).
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import structlog
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import AMQPError
from aiormq.channel import Channel
from anyio import move_on_after
from faststream.rabbit import RabbitBroker, RabbitExchange, RabbitQueue
from pamqp.commands import Basic

from application.ports import Clock
from domain.errors import BrokerUnavailable, Failure
from interfaces.messaging.consumer import MessageConsumer
from interfaces.messaging.envelope import Delivery
from projections.patience import Stopped

_PARK_TIMEOUT_SECONDS = 10.0
_REASON_LENGTH = 1000
_LONGEST_SHORT_TEXT = 255
"""In bytes: AMQP 0-9-1 accepts no more in a property."""

log = structlog.get_logger(__name__)


class RabbitSubscription:
    """Feeds the consumer from the own queue, and parks what it refuses on the dead-letter queue."""

    def __init__(
        self,
        broker: RabbitBroker,
        consumer: MessageConsumer,
        *,
        exchange: RabbitExchange,
        queue: RabbitQueue,
        dead_letter_queue: RabbitQueue,
        bindings: Iterable[str],
        clock: Clock,
    ) -> None:
        self._broker = broker
        self._consumer = consumer
        self._exchange = exchange
        self._queue = queue
        self._dead_letter_queue = dead_letter_queue
        self._bindings = tuple(bindings)
        self._clock = clock
        self._consumed: tuple[AbstractQueue, str] | None = None
        self._in_hand = 0
        self._is_stopped = False
        self._has_none_in_hand = asyncio.Event()

    async def start(self, broker: RabbitBroker) -> None:
        """Declare and bind the queues, then consume."""
        exchange = await broker.declare_exchange(self._exchange)
        await broker.declare_queue(self._dead_letter_queue)
        queue = await broker.declare_queue(self._queue)
        for routing_key in self._bindings:
            await queue.bind(exchange, routing_key=routing_key)
        self._consumed = queue, await queue.consume(self._receive)

    async def is_consuming(self) -> bool:
        """Whether the queue is consumed. The broker ends that if somebody deletes the queue."""
        if self._consumed is None:
            return False
        queue, tag = self._consumed
        channel = await queue.channel.get_underlay_channel()
        assert isinstance(channel, Channel), "aio-pika stands on aiormq"
        return tag in channel.consumers

    async def stop(self, seconds: float) -> None:
        """Receive no further message, and wait so long for those under way. Repeated calls do no harm.

        The others go back to the queue when the connection ends.
        """
        if self._is_stopped:
            return
        self._is_stopped = True
        with move_on_after(seconds):
            while self._in_hand:
                self._has_none_in_hand.clear()
                await self._has_none_in_hand.wait()

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        if not self._is_stopped:
            with self._held():
                await self._handle(message)

    async def _handle(self, message: AbstractIncomingMessage) -> None:
        delivery = Delivery(
            body=message.body, routing_key=_routing_key(message), message_id=message.message_id
        )
        try:
            await self._consumer.consume(delivery, self._park)
        except (Failure, Stopped) as failure:
            log.warning("message_returned", reason=str(failure))
            await self._return(message)
        except Exception:
            log.exception("message_returned")
            await self._return(message)
        else:
            with _unless_it_comes_again():
                await _acknowledge(message)

    async def _return(self, message: AbstractIncomingMessage) -> None:
        await self._consumer.pause()
        with _unless_it_comes_again():
            await message.nack(requeue=True)

    @contextmanager
    def _held(self) -> Iterator[None]:
        self._in_hand += 1
        try:
            yield
        finally:
            self._in_hand -= 1
            if not self._in_hand:
                self._has_none_in_hand.set()

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
                timestamp=self._clock.now(),
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


@contextmanager
def _unless_it_comes_again() -> Iterator[None]:
    """Ignore that a message can no longer be acknowledged because its connection was lost. The broker
    delivers it again."""
    try:
        yield
    except (AMQPError, OSError, RuntimeError) as error:
        log.info("message_comes_again", reason=repr(error))


async def _acknowledge(message: AbstractIncomingMessage) -> None:
    """Acknowledge a message, without waiting until the socket has taken that."""
    assert message.delivery_tag is not None, "a queue has numbered what it delivered"
    await message.channel.basic_ack(message.delivery_tag, wait=False)


def _routing_key(message: AbstractIncomingMessage) -> str:
    """Return the key under which it came; for a message that was parked and put directly into the queue
    again, the first one."""
    first = message.headers.get("x-original-routing-key") if message.exchange == "" else None
    return first if isinstance(first, str) else message.routing_key or ""
