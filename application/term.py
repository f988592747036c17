"""The time for which an instance holds a lease."""

from collections.abc import Callable

import anyio

from application.store_clock import seconds_passed
from domain.errors import LeaseLost


def no_switch() -> int:
    """Return 0, for a log that never changes to another one."""
    return 0


def never() -> bool:
    """Return False, for work that does not depend on the clock."""
    return False


class Term:
    """The time for which this instance holds a lease.

    It ends when the log's ``switches`` are no longer those of when the lease was asked for: the lease lies
    beside the log, or what was done under it came from a log that is another one now. While it ``is_barred``,
    nothing may be done under it, although it is held.
    """

    def __init__(
        self,
        name: str,
        fence: int | None,
        switches: Callable[[], int] = no_switch,
        asked_in: int = 0,
        is_barred: Callable[[], bool] = never,
    ) -> None:
        self.name = name
        self.fence = fence
        self.scope = anyio.CancelScope()
        self._until = 0.0
        self._switches = switches
        self._asked_in = asked_in
        self._is_barred = is_barred

    @property
    def is_of_another_log(self) -> bool:
        """Whether the log has become another one."""
        return self._switches() != self._asked_in

    def extend(self, seconds: float, asked_at: float) -> None:
        """Let it last ``seconds`` from the time at which the lease was asked for."""
        self._until = asked_at + seconds
        self.scope.deadline = anyio.current_time() + self._until - seconds_passed()

    def check(self) -> None:
        """Do nothing while nobody else can have taken over.

        Raises:
            LeaseLost: somebody may have taken over, or is about to.
        """
        if self.scope.cancel_called or seconds_passed() >= self._until:
            raise LeaseLost(f"the lease for {self.name} has run out")
        if self.is_of_another_log:
            raise LeaseLost(f"the lease for {self.name} was taken beside another log")
        if self._is_barred():
            raise LeaseLost(f"the lease for {self.name} is for an instance whose clock is right")
