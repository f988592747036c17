"""Trying again until it works: one way for followers, messages, timers and connections.

Tenacity does the trying again; this adds what all of them need: to be stopped in the middle of a wait, and
to be woken early. What works at once never meets it: it would take as long as a message does.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import structlog
from tenacity import AsyncRetrying, RetryCallState, wait_exponential_jitter

T = TypeVar("T")

FIRST_WAIT_SECONDS = 0.2

log = structlog.get_logger(__name__)


LONGEST_WAIT_SECONDS = 30.0


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

        try:
            return await work()
        except Exception as error:
            failed: Exception | None = error
        waited_for: Exception | None = None

        def worth_waiting(state: RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            return isinstance(error, Exception) and may_pass(error, state.attempt_number)

        def note(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if not isinstance(error, Exception):
                return
            nonlocal waited_for
            waited_for = error
            on_failure(error)
            log.warning(
                "trying_again",
                what=self._what,
                attempt=state.attempt_number,
                in_seconds=round(state.upcoming_sleep, 2),
                error=f"{type(error).__name__}: {error}",
            )

        async def attempt() -> T:
            nonlocal failed
            if failed is not None:
                first, failed = failed, None
                raise first
            return await work()

        async def wait(seconds: float) -> None:
            await self.sleep(seconds)
            if self.is_stopped:
                raise Stopped(f"{self._what}: {waited_for}") from waited_for

        def give_up(state: RetryCallState) -> T:
            error = state.outcome.exception() if state.outcome else None
            raise Stopped(f"{self._what}: {error}") from error

        retrying = AsyncRetrying(
            retry=worth_waiting,
            stop=lambda _: self.is_stopped,
            wait=wait_exponential_jitter(
                multiplier=FIRST_WAIT_SECONDS, max=self._longest_wait_seconds, jitter=FIRST_WAIT_SECONDS
            ),
            sleep=wait,
            before_sleep=note,
            retry_error_callback=give_up,
        )
        return await retrying(attempt)

    async def sleep(self, seconds: float) -> None:
        """Wait, or return at once when stopped."""
        with anyio.move_on_after(seconds):
            await self._stopping.wait()
