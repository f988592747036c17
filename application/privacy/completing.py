"""Completes interrupted erasures, on one instance at a time."""

import structlog

from application.periodic_part import PeriodicPart
from application.privacy.erasing import Erasing
from domain.lease import Lease

LOOK_AGAIN_SECONDS = 30.0
"""By then the command that erases has usually completed the erasure itself."""

log = structlog.get_logger(__name__)


class Completing(PeriodicPart):
    """A part of the service that needs a lease. If the command completes the erasure too, nothing is recorded
    twice."""

    name = "erasures"

    def __init__(self, erasing: Erasing) -> None:
        super().__init__(every_seconds=LOOK_AGAIN_SECONDS)
        self._erasing = erasing

    async def do(self, lease: Lease) -> None:
        """Complete the erasures that are left, and log each."""
        for each in await self._erasing.complete():
            log.warning(
                "erasure_completed",
                tenant_id=each.tenant,
                key_id=each.key_id,
                streams=each.streams,
                why="the command that began it did not complete it",
            )
