"""The in-process bus, which stands in for RabbitMQ when no broker is configured.

It routes messages by type and stores nothing. Each subscriber receives its messages in order, a limited
number at once, like a prefetch. Messages that nobody subscribes to are dropped, and so are those in flight
when the process ends: only the event log lasts.
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import anyio
import structlog

from application.integration import Source, envelope
from application.ports import PublicMessage
from domain.lease import Lease

Listener = Callable[[str, bytes], Awaitable[None]]
"""Takes a message's type and body."""

_QUEUE_SIZE = 10_000

log = structlog.get_logger(__name__)


class InProcessBus:
    """A topic exchange within the process."""

    def __init__(self, source: Source, *, count: Callable[[PublicMessage], None]) -> None:
        self._source = source
        self._count = count
        self.queues: list[InProcessQueue] = []

    def subscribe(
        self, name: str, types: Iterable[str], listener: Listener, *, at_once: int = 1
    ) -> "InProcessQueue":
        """Deliver messages of these types to a listener while its queue runs, up to ``at_once`` at a time."""
        queue = InProcessQueue(name, frozenset(types), listener, at_once)
        self.queues.append(queue)
        return queue

    async def publish(self, message: PublicMessage, lease: Lease) -> None:
        """Deliver a message of ours."""
        await self.send(message.type, envelope(message, self._source))
        self._count(message)

    async def send(self, message_type: str, body: bytes) -> None:
        """Deliver a body under a type, as a neighbour would."""
        for queue in self.queues:
            if message_type in queue.types:
                await queue.put(message_type, body)

    def close(self) -> None:
        """Accept no more messages. Those in the queues are still delivered."""
        for queue in self.queues:
            queue.close()


class InProcessQueue:
    """One subscriber's messages."""

    def __init__(self, name: str, types: frozenset[str], listener: Listener, at_once: int) -> None:
        self.name = name
        self.types = types
        self._listener = listener
        self._at_once = at_once
        self._send, self._receive = anyio.create_memory_object_stream[tuple[str, bytes]](_QUEUE_SIZE)

    @property
    def is_empty(self) -> bool:
        """Whether no message waits to be delivered."""
        return self._receive.statistics().current_buffer_used == 0

    async def put(self, message_type: str, body: bytes) -> None:
        """Add a message, and wait while the queue is full. A closed queue drops it."""
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            try:
                self._send.send_nowait((message_type, body))
            except anyio.WouldBlock:
                await self._send.send((message_type, body))

    async def run(self) -> None:
        """Deliver messages until :meth:`close`. If a listener fails, the message is lost and the failure is
        logged."""
        async with self._receive, anyio.create_task_group() as deliveries:
            for _ in range(self._at_once):
                deliveries.start_soon(self._deliver)

    def close(self) -> None:
        """Accept no more messages. Those in the queue are still delivered."""
        self._send.close()

    async def _deliver(self) -> None:
        while (message := await self._next()) is not None:
            message_type, body = message
            try:
                await self._listener(message_type, body)
            except Exception:
                log.exception("bus_listener_failed", queue=self.name, message_type=message_type)

    async def _next(self) -> tuple[str, bytes] | None:
        """Return the next message. If there is one, the event loop gets no turn."""
        try:
            return self._receive.receive_nowait()
        except anyio.WouldBlock:
            pass
        except anyio.EndOfStream:
            return None
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            return None
