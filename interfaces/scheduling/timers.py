"""Gives the commands of due timers, by the clock."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from domain.errors import LeaseLost
from domain.lease import Lease
from interfaces.scheduling.loop_progress import LoopProgress
from projections.follower_status import FollowerStatus
from projections.patience import Patience, Stopped


class TimerLoop:
    """Looks for due timers every ``poll_seconds``, and continues whatever happens."""

    name = "timers"
    failing_seconds = 0.0
    """Always 0: the loop depends only on the event store, as the leases do."""

    def __init__(self, fire_due: Callable[[Lease], Awaitable[int]], *, poll_seconds: float) -> None:
        self._fire_due = fire_due
        self._poll_seconds = poll_seconds
        self._patience = Patience("timers")
        self._progress = LoopProgress(self.name)

    @property
    def status(self) -> FollowerStatus:
        """The loop's state, in the form of a follower's: timers follow the clock."""
        return self._progress.status(is_over=self._patience.is_over)

    async def take_over(self, lease: Lease) -> None:
        """Do nothing: the timers are in a store."""

    async def run(self, lease: Lease) -> None:
        """Fire timers until :meth:`stop` or :meth:`leave`.

        Raises:
            LeaseLost: another instance fires them now.
        """
        self._patience.begin()
        self._progress.note_begun()
        try:
            with suppress(Stopped):
                while not self._patience.is_stopped:
                    self._progress.done += await self._patience.until_done(
                        lambda: self._fire_due(lease),
                        may_pass=lambda error, _: not isinstance(error, LeaseLost),
                        on_failure=self._progress.note_failure,
                    )
                    self._progress.note_success()
                    await self._patience.sleep(self._poll_seconds)
        finally:
            self._progress.note_ended()

    def stop(self) -> None:
        """Ask :meth:`run` to return, for good."""
        self._patience.stop()

    def leave(self) -> None:
        """Ask :meth:`run` to return; it may be run again."""
        self._patience.pause()
