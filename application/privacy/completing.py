"""Completes erasures that were begun and killed: what one instance at a time does."""

import anyio
import structlog

from application.privacy.erasing import Erasing
from domain.lease import Lease

LOOK_AGAIN_SECONDS = 30.0
"""Whoever erases is mostly done by then; only what is left is the service's."""

log = structlog.get_logger(__name__)


class Completing:
    """A part of the service that needs its lease. Done beside the command itself, nothing is told twice."""

    name = "erasures"

    def __init__(self, erasing: Erasing) -> None:
        self._erasing = erasing
        self._stopping = anyio.Event()
        self._failing_since: float | None = None

    @property
    def failing_seconds(self) -> float:
        """For how long the personal keys could not be asked."""
        return 0.0 if self._failing_since is None else anyio.current_time() - self._failing_since

    async def take_over(self, lease: Lease) -> None:
        """Nothing: what is left undone takes its time."""

    async def run(self, lease: Lease) -> None:
        """Look at once, and then every so often, until :meth:`stop`."""
        while not self._stopping.is_set():
            try:
                told = await self._erasing.complete()
            except Exception:
                if self._failing_since is None:
                    self._failing_since = anyio.current_time()
                raise
            self._failing_since = None
            for each in told:
                log.warning(
                    "erasure_completed",
                    tenant_id=each.tenant,
                    key_id=each.key_id,
                    streams=each.streams,
                    why="the command that began it did not complete it",
                )
            with anyio.move_on_after(LOOK_AGAIN_SECONDS):
                await self._stopping.wait()

    def stop(self) -> None:
        """Ask :meth:`run` to return."""
        self._stopping.set()
