"""Public messages to RabbitMQ, persistent and confirmed.

FastStream connects and declares; a message is handed to the channel on which it did, because the layers above
take half as long again for each (``python -m benchmarks publish``). It waits for the confirmation and not for
the socket to have taken it as well: that would let one message at a time through, each in a write of its own.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from aio_pika.abc import AbstractChannel, DeliveryMode
from aio_pika.exceptions import (
    ChannelClosed,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
)
from aiormq.channel import Channel
from aiormq.exceptions import ChannelAccessRefused
from faststream.rabbit import RabbitBroker
from pamqp.commands import Basic

from application.integration import ENVELOPE_VERSION, Source, envelope
from application.ports import PublicMessage
from domain.errors import BrokerUnavailable, MessageNotTaken, MessageRefused, MessageUnroutable
from domain.lease import Lease
from infrastructure.rabbit.confirms import CONFIRM_TIMEOUT_SECONDS, Confirms
from infrastructure.rabbit.connection import BROKER_ERRORS, RabbitConnection, lost_connection_raised
from infrastructure.rabbit.queues import Queues, declare_exchange
from infrastructure.rabbit.topology import RabbitNames, topic_exchange

LARGE_BYTES = 65_536
"""A body of so many goes on a channel of its own: it may be more than the broker takes."""

ALONE_AT_ONCE = 16
"""So many channels are open at a time for one message each; a broker may allow a connection no hundred."""

MOST_TYPES = 10_000
"""So many are known to be allowed; tenants make up their own."""

log = structlog.get_logger(__name__)


class RabbitPublisher:
    """Publishes under the wire's types; up to ``in_flight`` messages wait for their confirmation."""

    def __init__(
        self,
        connection: RabbitConnection,
        names: RabbitNames,
        source: Source,
        *,
        in_flight: int,
        count: Callable[[PublicMessage], None],
        count_refused: Callable[[PublicMessage], None],
    ) -> None:
        self.connection = connection
        self._names = names
        self._source = source
        self._exchange = topic_exchange(names.exchange)
        self._channel: AbstractChannel | None = None
        self._queues = Queues(names)
        self._turn = asyncio.Semaphore(in_flight)
        self._turn_alone = asyncio.Semaphore(ALONE_AT_ONCE)
        self._allowed: set[str] = set()
        """Types that the broker has taken something under, on this connection."""
        self._trials: dict[str, asyncio.Event] = {}
        """Types of which the first is on its way."""
        self._confirms: Confirms | None = None
        self._count = count
        self._count_refused = count_refused

    async def run(self) -> None:
        """Connect, declare the exchange and the queues where triggers and answers wait, and keep all that
        until the connection is closed.
        """
        await self.connection.keep(self._declare, self._look)

    async def publish(self, message: PublicMessage, lease: Lease) -> None:
        """Publish a message and wait for the broker's confirmation.

        Raises:
            BrokerUnavailable: no confirmation came; it may or may not be there.
            MessageUnroutable: it must reach a queue, and there is none, not after another declaration either.
            MessageRefused: it is larger than the broker takes.
            MessageNotTaken: a queue is full and rejects what comes, or the broker has trouble with it; or
                nobody may publish under its type as who we are.
            LeaseLost: the lease was lost while the message waited for its turn.
        """
        wire_type = self._names.wire_type(message.type)
        body = envelope(message, self._source, wire_type)
        async with self._turn:
            try:
                with lost_connection_raised():
                    if not await self._is_taken(body, wire_type, message, lease):
                        await self._queues.declare(self.connection)
                        if not await self._is_taken(body, wire_type, message, lease):
                            raise MessageUnroutable(f"no queue takes {wire_type}")
            except DeliveryError as error:
                raise MessageNotTaken(
                    f"a queue that {wire_type} goes to is full, or in trouble: {error!r}"
                ) from error
            except BROKER_ERRORS as error:
                if isinstance(error, ChannelClosed):
                    self.connection.look_again()
                raise BrokerUnavailable(f"{wire_type} is not confirmed: {error!r}") from error
        self._count(message)

    async def _is_taken(self, body: bytes, wire_type: str, message: PublicMessage, lease: Lease) -> bool:
        """Publish, and tell whether a queue took it, as far as one must.

        What the broker refuses ends the channel for all that are on it, and nobody learns whose message that
        was; what they send meanwhile ends the connection. So what is large goes alone, and so do the first of
        a type, which may be forbidden, and what was on a channel that ended so all the same.
        """
        if not await self.connection.until_up(CONFIRM_TIMEOUT_SECONDS) or self._channel is None:
            raise BrokerUnavailable(self.connection.error or "not connected")
        lease.check()
        until = _soon_enough()
        if len(body) < LARGE_BYTES and await self._is_allowed(wire_type):
            lease.check()
            if not self.connection.is_up:
                raise BrokerUnavailable(self.connection.error or "not connected")
            try:
                return await self._is_taken_beside_others(self._channel, body, wire_type, message)
            except ChannelPreconditionFailed:
                pass
            except ChannelAccessRefused as error:
                if not _forbids_a_type(error):
                    raise
                self._allowed.discard(wire_type)
            until = _soon_enough()
        with self._tried(wire_type):
            async with asyncio.timeout_at(until), self._turn_alone:
                lease.check()
                is_taken = await self._is_taken_alone(body, wire_type, message)
            if len(self._allowed) >= MOST_TYPES:
                self._allowed.clear()
            self._allowed.add(wire_type)
        return is_taken

    async def _is_allowed(self, wire_type: str) -> bool:
        """Whether the broker has taken the type before; the first of it, if on its way, is waited for.

        Where nothing came of that one, those behind it go alone, as it did, and all at once.
        """
        trial = self._trials.get(wire_type)
        if trial is not None:
            await trial.wait()
        return wire_type in self._allowed

    @contextmanager
    def _tried(self, wire_type: str) -> Iterator[None]:
        if wire_type in self._allowed or wire_type in self._trials:
            yield
            return
        self._trials[wire_type] = trial = asyncio.Event()
        try:
            yield
        finally:
            del self._trials[wire_type]
            trial.set()

    async def _is_taken_beside_others(
        self, channel: AbstractChannel, body: bytes, wire_type: str, message: PublicMessage
    ) -> bool:
        confirms = self._confirms
        if confirms is None or confirms.channel.is_closed:
            async with asyncio.timeout(CONFIRM_TIMEOUT_SECONDS):
                underlay = await _underlay(channel)
            confirms = self._confirms
            if confirms is None or confirms.channel is not underlay:
                confirms = self._confirms = Confirms(underlay)
        if not message.mandatory and confirms.takes(body):
            properties = self._properties(message, wire_type)
            await confirms.publish(body, self._names.exchange, wire_type, properties)
            return True
        async with asyncio.timeout(CONFIRM_TIMEOUT_SECONDS):
            return await self._confirmed_on(channel, body, wire_type, message)

    async def _is_taken_alone(self, body: bytes, wire_type: str, message: PublicMessage) -> bool:
        try:
            async with self.connection.channel() as channel:
                return await self._confirmed_on(channel, body, wire_type, message)
        except ChannelPreconditionFailed as error:
            self._count_refused(message)
            raise MessageRefused(f"{wire_type} of {len(body)} bytes is refused: {error}") from error
        except ChannelAccessRefused as error:
            if not _forbids_a_type(error):
                raise
            raise MessageNotTaken(f"the broker forbids {wire_type}: {error}") from error

    async def _confirmed_on(
        self, channel: AbstractChannel, body: bytes, wire_type: str, message: PublicMessage
    ) -> bool:
        underlay = await _underlay(channel)
        confirmation = await underlay.basic_publish(
            body,
            exchange=self._names.exchange,
            routing_key=wire_type,
            properties=self._properties(message, wire_type),
            mandatory=message.mandatory,
            wait=False,
        )
        return isinstance(confirmation, Basic.Ack)

    def _properties(self, message: PublicMessage, wire_type: str) -> Basic.Properties:
        return Basic.Properties(
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=message.id,
            message_type=wire_type,
            correlation_id=message.metadata.get("correlationId", message.id),
            timestamp=message.timestamp,
            content_type="application/json",
            app_id=self._source.service,
            headers={"tenantId": message.tenant, "version": ENVELOPE_VERSION},
        )

    async def _declare(self, broker: RabbitBroker) -> None:
        exchange = await broker.declare_exchange(self._exchange)
        self._channel, self._confirms = exchange.channel, None
        self._allowed.clear()
        await self._queues.declare(self.connection)

    async def _look(self) -> None:
        """Declare all again, as somebody may have deleted it.

        Raises:
            AMQPError: the exchange is another one now.
        """
        async with self.connection.channel() as channel:
            await declare_exchange(channel, self._names.exchange)
        try:
            await self._queues.declare(self.connection)
        except ChannelNotFoundEntity as error:
            log.warning("queue_away", error=str(error))


def _soon_enough() -> float:
    return asyncio.get_running_loop().time() + CONFIRM_TIMEOUT_SECONDS


async def _underlay(channel: AbstractChannel) -> Channel:
    underlay = await channel.get_underlay_channel()
    assert isinstance(underlay, Channel), "aio-pika stands on aiormq"
    return underlay


def _forbids_a_type(error: ChannelAccessRefused) -> bool:
    """Whether we may not publish under one routing key (``rabbitmqctl set_topic_permissions``), and not
    whether we may not use the exchange.
    """
    return "access to topic '" in str(error)
