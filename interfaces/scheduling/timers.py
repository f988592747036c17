"""The clock gives the commands of due timers."""

from collections.abc import Awaitable, Callable

import anyio
import structlog
from tenacity import AsyncRetrying, RetryCallState, wait_exponential_jitter

LONGEST_BACKOFF_SECONDS = 30.0

log = structlog.get_logger(__name__)


class TimerLoop:
    """Asks for due timers every ``poll_seconds``, and goes on asking whatever happens."""

    def __init__(self, fire_due: Callable[[], Awaitable[int]], *, poll_seconds: float) -> None:
        self._fire_due = fire_due
        self._poll_seconds = poll_seconds
        self._stopping = anyio.Event()
        self._error: str | None = None

    @property
    def error(self) -> str | None:
        """Why timers do not fire now."""
        return self._error

    async def run(self) -> None:
        """Fire timers until :meth:`stop`."""
        retrying = AsyncRetrying(
            wait=wait_exponential_jitter(initial=0.2, max=LONGEST_BACKOFF_SECONDS, jitter=0.2),
            stop=lambda _: self._stopping.is_set(),
            sleep=self._sleep,
            before_sleep=self._note_failure,
            retry_error_callback=lambda _: None,
        )
        while not self._stopping.is_set():
            await retrying(self._fire_due)
            self._error = None
            await self._sleep(self._poll_seconds)

    def stop(self) -> None:
        """Ask :meth:`run` to return."""
        self._stopping.set()

    async def _sleep(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._stopping.wait()

    def _note_failure(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._error = f"{type(error).__name__}: {error}"
        log.warning("timers_failing", attempt=state.attempt_number, error=self._error)
