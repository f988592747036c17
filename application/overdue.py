"""Reports what has waited for too long, with one timer for all that wait equally long.

What began to wait first is overdue first, so the timer is only ever set for that. A timer for each would be a
handle of the event loop's, created, ended and closed: 5 µs, and one more moment in which a thread takes the
interpreter's lock.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_TICK_SECONDS = 0.001
"""uvloop's clock has milliseconds. A timer for less than half of one would be due at once, again and
again."""


class Overdue(Generic[T]):
    """Calls ``tell`` with what has waited for ``seconds``, and forgets it. Use it from one event loop.

    A thing waits once at a time, and ``tell`` must not raise. The timer stays set when the last thing has
    left.
    """

    def __init__(self, seconds: float, tell: Callable[[T], None]) -> None:
        self._seconds = seconds
        self._tell = tell
        self._due: dict[T, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, loop: asyncio.AbstractEventLoop, thing: T) -> None:
        """Let a thing wait from now on."""
        due_at = loop.time() + self._seconds
        self._due[thing] = due_at
        if self._timer is None:
            self._timer = loop.call_at(due_at, self._look, loop)

    def leave(self, thing: T) -> None:
        """Let a thing no longer wait, if it did."""
        self._due.pop(thing, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        over: list[T] = []
        for thing, due_at in self._due.items():
            if due_at > now:
                self._timer = loop.call_at(max(due_at, now + _TICK_SECONDS), self._look, loop)
                break
            over.append(thing)
        for thing in over:
            del self._due[thing]
        for thing in over:
            self._tell(thing)
