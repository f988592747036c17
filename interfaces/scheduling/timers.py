"""The clock gives the commands of due timers."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from projections.follower import FollowerStatus, State
from projections.patience import Patience, Stopped


class TimerLoop:
    """Asks for due timers every ``poll_seconds``, and goes on asking whatever happens."""

    def __init__(self, fire_due: Callable[[], Awaitable[int]], *, poll_seconds: float) -> None:
        self._fire_due = fire_due
        self._poll_seconds = poll_seconds
        self._patience = Patience("timers")
        self._state: State = "starting"
        self._fired = 0
        self._failures = 0
        self._error: str | None = None

    @property
    def status(self) -> FollowerStatus:
        """How it fares, told as a follower's: timers follow the clock."""
        state: State = "stopped" if self._patience.is_stopped else self._state
        return FollowerStatus("timers", state, 0.0, self._fired, self._failures, self._error)

    async def run(self) -> None:
        """Fire timers until :meth:`stop`."""
        with suppress(Stopped):
            while not self._patience.is_stopped:
                self._fired += await self._patience.until_done(self._fire_due, on_failure=self._note_failure)
                self._state, self._error = "running", None
                await self._patience.sleep(self._poll_seconds)

    def stop(self) -> None:
        """Ask :meth:`run` to return."""
        self._patience.stop()

    def _note_failure(self, error: Exception) -> None:
        self._failures += 1
        self._state, self._error = "failing", f"{type(error).__name__}: {error}"
