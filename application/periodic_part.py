"""A part that is done now and then, by one instance at a time."""

from abc import ABC, abstractmethod

import anyio

from domain.errors import LeaseLost
from domain.lease import Lease


class PeriodicPart(ABC):
    """Done as soon as its lease is held, and then every ``every_seconds``.

    A failure ends :meth:`run`. Whoever holds the lease begins it again.
    """

    name: str
    """The lease's name."""

    def __init__(self, *, every_seconds: float) -> None:
        self.every_seconds = every_seconds
        self._stopping = anyio.Event()
        self._failing_since: float | None = None

    @abstractmethod
    async def do(self, lease: Lease) -> None:
        """Do it once.

        Raises:
            LeaseLost: another instance does it now.
        """

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to end."""
        return self._stopping.is_set()

    @property
    def failing_seconds(self) -> float:
        """How long it has not been done although it should have been; 0 while it works."""
        return 0.0 if self._failing_since is None else anyio.current_time() - self._failing_since

    async def take_over(self, lease: Lease) -> None:
        """Do nothing, unless a part has something to do first."""
        return

    async def run(self, lease: Lease) -> None:
        """Do it again and again, until :meth:`stop`."""
        while not self.is_stopping:
            try:
                await self.do(lease)
            except LeaseLost:
                self._failing_since = None
                raise
            except Exception:
                if self._failing_since is None:
                    self._failing_since = anyio.current_time()
                raise
            self._failing_since = None
            with anyio.move_on_after(self.every_seconds):
                await self._stopping.wait()

    def stop(self) -> None:
        """Ask :meth:`run` to return."""
        self._stopping.set()
