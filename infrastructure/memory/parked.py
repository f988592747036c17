"""What is parked where there is no broker: kept by the process, and gone with it."""

from collections import deque
from collections.abc import Awaitable, Callable

from application.parked import Parked, ParkedMessage, not_there

MOST = 1_000
"""The oldest make room for what comes."""


class ParkedInMemory:
    """``redeliver`` has a message handled again."""

    def __init__(self, redeliver: Callable[[ParkedMessage], Awaitable[None]]) -> None:
        self._messages: deque[ParkedMessage] = deque(maxlen=MOST)
        self._redeliver = redeliver

    def park(self, message: ParkedMessage) -> None:
        """Keep one."""
        self._messages.append(message)

    async def look(self, limit: int) -> Parked:
        """The oldest, up to so many."""
        return Parked(list(self._messages)[:limit], len(self._messages))

    async def find(self, id: str) -> ParkedMessage:
        """One.

        Raises:
            ParkedMessageNotFound: it is not there, or not any more.
        """
        for message in self._messages:
            if message.id == id:
                return message
        raise not_there(id)

    async def requeue(self, id: str) -> ParkedMessage:
        """Have one handled again.

        Raises:
            ParkedMessageNotFound: it is not there, or not any more.
        """
        message = await self.discard(id)
        await self._redeliver(message)
        return message

    async def discard(self, id: str) -> ParkedMessage:
        """Throw one away, for good.

        Raises:
            ParkedMessageNotFound: it is not there, or not any more.
        """
        message = await self.find(id)
        self._messages.remove(message)
        return message
