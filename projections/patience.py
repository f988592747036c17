"""Trying again until it works: one way for followers, messages, timers and connections.

A loop of ours and not tenacity's: there each answer to a failure is a callback, a stop within a wait is one
more, and what works at once, as each message does, takes 0.1 ms in place of 1 µs.
"""

from collections.abc import Awaitable, Callable
from random import uniform
from typing import TypeVar

import anyio
import structlog

T = TypeVar("T")

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 30.0

log = structlog.get_logger(__name__)


def wait_after(tries: int) -> float:
    """For how long to wait after so many tries where nobody else waits for the same: longer each time."""
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(tries - 1, 30))


class Stopped(Exception):
    """It was told to stop before it worked."""


class Patience:
    """Tries again with exponential waits and jitter until it works or is stopped.

    ``what`` names the effort in the log; ``longest_wait_seconds`` bounds the waits.
    """

    def __init__(self, what: str, *, longest_wait_seconds: float = LONGEST_WAIT_SECONDS) -> None:
        self._what = what
        self._longest_wait_seconds = longest_wait_seconds
        self._stopping = anyio.Event()
        self._is_over = False

    @property
    def is_stopped(self) -> bool:
        """Whether it was told to stop, for good or until it begins again."""
        return self._stopping.is_set()

    @property
    def is_over(self) -> bool:
        """Whether it was told to stop for good."""
        return self._is_over

    def stop(self) -> None:
        """End every wait; nothing is tried again."""
        self._is_over = True
        self._stopping.set()

    def pause(self) -> None:
        """The same until :meth:`begin`."""
        self._stopping.set()

    def begin(self) -> None:
        """Go on after a pause."""
        if not self._is_over and self._stopping.is_set():
            self._stopping = anyio.Event()

    async def until_done(
        self,
        work: Callable[[], Awaitable[T]],
        *,
        may_pass: Callable[[Exception, int], bool] = lambda error, tries: True,
        on_failure: Callable[[Exception], None] = lambda error: None,
    ) -> T:
        """The result of ``work``, however many tries it takes.

        ``may_pass`` is asked of each failure, with the number of tries so far; what cannot pass is
        raised. ``on_failure`` is told of each failure that is waited for.

        Raises:
            Stopped: it was told to stop; the last failure is its cause.
        """
        tries = 0
        while True:
            try:
                return await work()
            except Exception as error:
                tries += 1
                if not may_pass(error, tries):
                    raise
                if not self.is_stopped:
                    on_failure(error)
                    await self._wait(error, tries)
                if self.is_stopped:
                    raise Stopped(f"{self._what}: {error}") from error

    async def _wait(self, error: Exception, tries: int) -> None:
        """With jitter: who lost the same store does not come back to it in step."""
        seconds = min(self._longest_wait_seconds, wait_after(tries) + uniform(0.0, FIRST_WAIT_SECONDS))
        log.warning(
            "trying_again",
            what=self._what,
            attempt=tries,
            in_seconds=round(seconds, 2),
            error=f"{type(error).__name__}: {error}",
        )
        await self.sleep(seconds)

    async def sleep(self, seconds: float) -> None:
        """Wait, or return at once when stopped."""
        with anyio.move_on_after(seconds):
            await self._stopping.wait()
