"""Limits the total size of the bodies that are decoded at once.

A decoded body may take thirty times its size, as `[[],[],…]` does. Many bodies of 1 MiB at once would exhaust
the process's memory.
"""

from collections import deque
from traceback import clear_frames

import anyio
from starlette.requests import Request

SMALL_BODY_BYTES = 16 * 1024
"""Bodies up to this size are decoded without waiting."""

DECODED_AT_ONCE_BYTES = 2 * 1024 * 1024
"""The total size of larger bodies that are decoded at once. Each counts until its request is answered."""


class Decoding:
    """A number of bytes for bodies, given out in the order of arrival."""

    def __init__(self, room: int = DECODED_AT_ONCE_BYTES) -> None:
        self._room = room
        self._waiting: deque[tuple[int, anyio.Event]] = deque()

    async def enter(self, size: int) -> int:
        """Wait until there is room for a body of ``size`` bytes. Return the bytes to give to
        :meth:`leave`."""
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
        """Give bytes back."""
        self._room += size
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._room:
            size, let_in = self._waiting.popleft()
            self._room -= size
            let_in.set()


class DecodedBody:
    """The bytes that a request has."""

    def __init__(self, decoding: Decoding) -> None:
        self._decoding = decoding
        self._size = 0

    async def enter(self, size: int) -> None:
        """Wait until there is room for the request's body of ``size`` bytes."""
        self._size += await self._decoding.enter(size)

    def forget(self, error: Exception) -> None:
        """Clear the frames of an error, so that it does not keep a large body until garbage collection."""
        if self._size:
            clear_frames(error.__traceback__)
            error.__context__ = None

    def leave(self) -> None:
        """Give the bytes back: the request has been answered, or waits for something else."""
        self._decoding.leave(self._size)
        self._size = 0


def decoded_body(request: Request) -> DecodedBody:
    """Return the bytes of a request, which are given back when it has been answered."""
    found: DecodedBody = request.state.decoded
    return found
