"""Completes erasures that were begun and killed: what one instance at a time does."""

import structlog

from application.periodic_part import PeriodicPart
from application.privacy.erasing import Erasing
from domain.lease import Lease

LOOK_AGAIN_SECONDS = 30.0
"""Whoever erases is mostly done by then; only what is left is the service's."""

log = structlog.get_logger(__name__)


class Completing(PeriodicPart):
    """A part of the service that needs its lease. Done beside the command itself, nothing is told twice."""

    name = "erasures"

    def __init__(self, erasing: Erasing) -> None:
        super().__init__(every_seconds=LOOK_AGAIN_SECONDS)
        self._erasing = erasing

    async def do(self, lease: Lease) -> None:
        """Complete what is left undone, and tell of it."""
        for each in await self._erasing.complete():
            log.warning(
                "erasure_completed",
                tenant_id=each.tenant,
                key_id=each.key_id,
                streams=each.streams,
                why="the command that began it did not complete it",
            )
