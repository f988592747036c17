"""Parked messages within the process. Only the last ones are kept, and none outlives the process."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from application.parked import MOST_LOOKED_AT, ParkedMessage, not_parked

MOST_KEPT = 1000
MOST_BYTES = 32 * 1024 * 1024


class InProcessParkedMessages:
    """The last ``MOST_KEPT`` messages, of at most ``MOST_BYTES`` in all. ``again`` takes a routing key and a
    body."""

    def __init__(self, again: Callable[[str, bytes], Awaitable[None]]) -> None:
        self._again = again
        self._kept: OrderedDict[str, tuple[ParkedMessage, bytes]] = OrderedDict()
        self._bytes = 0

    def park(self, message: ParkedMessage, body: bytes) -> None:
        """Keep a message. The oldest ones make room for it."""
        self._take(message.id)
        self._kept[message.id] = (message, body)
        self._bytes += message.size
        while len(self._kept) > MOST_KEPT or self._bytes > MOST_BYTES:
            self._take(next(iter(self._kept)))

    async def oldest(self) -> tuple[Sequence[ParkedMessage], int]:
        """Return the first parked messages, and how many there are."""
        return [message for message, _ in self._kept.values()][:MOST_LOOKED_AT], len(self._kept)

    async def find(self, id: str) -> tuple[ParkedMessage, bytes]:
        """Return one message with its body."""
        if id not in self._kept:
            raise not_parked(id)
        return self._kept[id]

    async def requeue(self, id: str, note: Callable[[ParkedMessage], None]) -> ParkedMessage:
        """Hand a message to the consumer again."""
        message, body = await self.find(id)
        note(message)
        self._take(id)
        await self._again(message.routing_key, body)
        return message

    async def discard(self, id: str, note: Callable[[ParkedMessage], None]) -> ParkedMessage:
        """Delete a message."""
        message, _ = await self.find(id)
        note(message)
        self._take(id)
        return message

    def _take(self, id: str) -> None:
        if (kept := self._kept.pop(id, None)) is not None:
            self._bytes -= kept[0].size
