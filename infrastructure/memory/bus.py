"""The in-process bus: what stands in for RabbitMQ when nothing is configured.

It routes by type, keeps nothing, and hands each subscriber its messages in order, up to so many at once as a
prefetch does. What nobody listens to is gone, and so is what is in flight when the process ends: the log is
what lasts.
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
        """Deliver messages of these types to a listener, once its queue runs, so many at once."""
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
        """Take nothing more in; what is queued is still delivered."""
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
        """Queue a message, waiting while the queue is full; a closed queue takes nothing."""
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            try:
                self._send.send_nowait((message_type, body))
            except anyio.WouldBlock:
                await self._send.send((message_type, body))

    async def run(self) -> None:
        """Deliver until :meth:`close`; a listener that fails loses that message and is told in the log."""
        async with self._receive, anyio.create_task_group() as deliveries:
            for _ in range(self._at_once):
                deliveries.start_soon(self._deliver)

    def close(self) -> None:
        """Take nothing more in; what is queued is still delivered."""
        self._send.close()

    async def _deliver(self) -> None:
        while (message := await self._next()) is not None:
            message_type, body = message
            try:
                await self._listener(message_type, body)
            except Exception:
                log.exception("bus_listener_failed", queue=self.name, message_type=message_type)

    async def _next(self) -> tuple[str, bytes] | None:
        """What is to be delivered next; without a turn of the loop where there is something."""
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
