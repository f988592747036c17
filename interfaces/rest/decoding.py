"""How much of what was sent is decoded at a time.

A body of 1 MiB may become thirty times as much: `[[],[],…]` does. Many at once would take a process's memory.
"""

from collections import deque
from traceback import clear_frames

import anyio
from starlette.requests import Request

SMALL_BODY_BYTES = 16 * 1024
"""What is always decoded at once."""

DECODED_AT_ONCE_BYTES = 2 * 1024 * 1024
"""Of larger bodies, at a time; each has its share until its request is answered."""


class Decoding:
    """Room for so many bytes of bodies; who comes first is let in first."""

    def __init__(self, room: int = DECODED_AT_ONCE_BYTES) -> None:
        self._room = room
        self._waiting: deque[tuple[int, anyio.Event]] = deque()

    async def enter(self, size: int) -> int:
        """Wait until there is room for a body of so many bytes; what is to be given back to :meth:`leave`."""
        if size <= SMALL_BODY_BYTES:
            return 0
        if not self._waiting and size <= self._room:
            self._room -= size
            return size
        mine = (size, anyio.Event())
        self._waiting.append(mine)
        try:
            await mine[1].wait()
        except BaseException:
            if mine[1].is_set():
                self.leave(size)
            else:
                self._waiting.remove(mine)
                self._let_in()
            raise
        return size

    def leave(self, size: int) -> None:
        """Make room for others."""
        self._room += size
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._room:
            size, let_in = self._waiting.popleft()
            self._room -= size
            let_in.set()


class DecodedBody:
    """The share that a request has."""

    def __init__(self, decoding: Decoding) -> None:
        self._decoding = decoding
        self._size = 0

    async def enter(self, size: int) -> None:
        """Wait until there is room for its body of so many bytes."""
        self._size += await self._decoding.enter(size)

    def forget(self, error: Exception) -> None:
        """Have an error not hold a large body until the garbage is collected, which is seldom."""
        if self._size:
            clear_frames(error.__traceback__)
            error.__context__ = None

    def leave(self) -> None:
        """Make room for others: the request has been answered, or waits for something else."""
        self._decoding.leave(self._size)
        self._size = 0


def decoded_body(request: Request) -> DecodedBody:
    """That of a request, given back when it has been answered."""
    found: DecodedBody = request.state.decoded
    return found
