"""The clock gives the commands of due timers."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from projections.patience import Patience, Stopped


class TimerLoop:
    """Asks for due timers every ``poll_seconds``, and goes on asking whatever happens."""

    def __init__(self, fire_due: Callable[[], Awaitable[int]], *, poll_seconds: float) -> None:
        self._fire_due = fire_due
        self._poll_seconds = poll_seconds
        self._patience = Patience("timers")
        self._error: str | None = None

    @property
    def error(self) -> str | None:
        """Why timers do not fire now."""
        return self._error

    async def run(self) -> None:
        """Fire timers until :meth:`stop`."""
        with suppress(Stopped):
            while not self._patience.is_stopped:
                await self._patience.until_done(self._fire_due, on_failure=self._note_failure)
                self._error = None
                await self._patience.sleep(self._poll_seconds)

    def stop(self) -> None:
        """Ask :meth:`run` to return."""
        self._patience.stop()

    def _note_failure(self, error: Exception) -> None:
        self._error = f"{type(error).__name__}: {error}"
