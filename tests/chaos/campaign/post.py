"""A neighbour's connection to the broker: everything on the wire comes in, and what goes out is confirmed.

It lives through a broker that restarts or freezes. The queue that catches everything is durable, so that what
is published while nobody listens is seen later; what is sent is sent until the broker has confirmed it.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aio_pika
import aio_pika.exceptions
import anyio
import anyio.abc
import msgspec
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

from infrastructure.rabbit.connection import lost_connection_raised
from tests.chaos.campaign.checks.wire import moment
from tests.chaos.campaign.evidence import Evidence, Seen, Sent
from tests.neighbours import Names

CONFIRM_SECONDS = 6.0
BETWEEN_CONNECTIONS_SECONDS = 0.5
IN_FLIGHT = 64
"""Confirmations of persistent messages come late, and many together."""

AFTER_A_FAILURE_SECONDS = 0.3
UNACKNOWLEDGED = 200

BROKER_AWAY = (aio_pika.exceptions.AMQPError, ConnectionError, OSError, TimeoutError, RuntimeError)


class Post:
    """``on_seen`` is told of each message, also of a repeated one, before it is acknowledged."""

    def __init__(self, url: str, names: Names, evidence: Evidence, on_seen: Callable[[Seen], None]) -> None:
        self._url = url
        self._names = names
        self._evidence = evidence
        self._on_seen = on_seen
        self._exchange: AbstractExchange | None = None
        self._turn = anyio.CapacityLimiter(IN_FLIGHT)
        self._unconfirmed = 0
        self._connected = anyio.Event()
        self._tasks: anyio.abc.TaskGroup | None = None

    @property
    def is_idle(self) -> bool:
        """Whether everything has been confirmed."""
        return not self._unconfirmed

    def put(self, said: Sent) -> None:
        """Send a message until it is confirmed, in no order with others."""
        assert self._tasks is not None
        self._unconfirmed += 1
        self._tasks.start_soon(self._send, said)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """It sends and listens meanwhile; it listens before anything else begins."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._stay_connected)
            await self._connected.wait()
            yield
            tasks.cancel_scope.cancel()

    async def _stay_connected(self) -> None:
        while True:
            with contextlib.suppress(*BROKER_AWAY), lost_connection_raised():
                await self._listen()
            self._exchange = None
            await anyio.sleep(BETWEEN_CONNECTIONS_SECONDS)

    async def _listen(self) -> None:
        """One connection, to its end."""
        connection = await aio_pika.connect(self._url, timeout=CONFIRM_SECONDS)
        closed = asyncio.Event()
        connection.close_callbacks.add(lambda *_: closed.set())
        try:
            channel = await connection.channel(publisher_confirms=True)
            exchange = await channel.declare_exchange(
                self._names.exchange, aio_pika.ExchangeType.TOPIC, durable=True
            )
            listening = await connection.channel()
            await listening.set_qos(UNACKNOWLEDGED)
            spy = await listening.declare_queue(f"{self._names.queue}.spy", durable=True)
            await spy.bind(exchange, "#")
            await spy.consume(self._note)
            self._exchange = exchange
            self._connected.set()
            await closed.wait()
        finally:
            with contextlib.suppress(*BROKER_AWAY), anyio.move_on_after(2, shield=True):
                await connection.close()

    async def _note(self, message: AbstractIncomingMessage) -> None:
        """Noted before anything is waited for, so that the order is the queue's."""
        seen = self._evidence.note_seen(
            redelivered=bool(message.redelivered),
            routing_key=message.routing_key or "",
            message_id=message.message_id,
            body=message.body,
        )
        self._on_seen(seen)
        with contextlib.suppress(*BROKER_AWAY):
            await message.ack()

    async def _send(self, said: Sent) -> None:
        confirmed = False
        while not confirmed:
            async with self._turn:
                if exchange := self._exchange:
                    confirmed = await _published(exchange, said)
                    tried = msgspec.structs.replace(said, confirmed=confirmed, at=time.time())
                    self._evidence.note_sent(tried)
            if not confirmed:
                await anyio.sleep(AFTER_A_FAILURE_SECONDS)
        self._unconfirmed -= 1


async def _published(exchange: AbstractExchange, said: Sent) -> bool:
    """Whether the broker has confirmed it; if not, it may be there all the same."""
    with contextlib.suppress(*BROKER_AWAY), lost_connection_raised():
        with anyio.move_on_after(CONFIRM_SECONDS):
            await exchange.publish(_message(said), said.type)
            return True
    return False


def _message(said: Sent) -> aio_pika.Message:
    """As a neighbour publishes it: no content type."""
    body = {
        "id": said.id,
        "type": said.type,
        "version": "1.0",
        "timestamp": moment(datetime.now(UTC).isoformat()),
        "tenantId": said.tenant,
        "source": {"service": "a-neighbour", "instance": "a-neighbour-1"},
        "data": said.data,
    }
    return aio_pika.Message(
        msgspec.json.encode(body), delivery_mode=aio_pika.DeliveryMode.PERSISTENT, message_id=said.id
    )
