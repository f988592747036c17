"""How full tenants' logical partitions are, as their orders' ends tell whenever somebody reads them."""

import structlog

from application.event_log import Fill

_WORTH_A_WORD = 0.5
"""Of what a partition takes. Its indexes come on top of what we count, and to move a tenant takes time."""

log = structlog.get_logger(__name__)


class Fills:
    """The last that was seen of each tenant. Any thread may use it."""

    def __init__(self) -> None:
        self._fills: dict[str, Fill] = {}
        self._told: dict[str, int] = {}

    def note(self, tenant: str, fill: Fill) -> None:
        """Remember it; of a tenant that is large, the log says so at each further percent."""
        self._fills[tenant] = fill
        percent = int(100 * fill.share)
        if fill.share < _WORTH_A_WORD:
            self._told.pop(tenant, None)
        if fill.share >= _WORTH_A_WORD and percent > self._told.get(tenant, 0):
            self._told[tenant] = percent
            log.warning(
                "partition_fills", tenant=tenant, percent=percent, events=fill.events, bytes=fill.bytes
            )

    def fullest(self) -> Fill | None:
        """The fullest; none where nothing was seen yet."""
        return max(list(self._fills.values()), key=lambda fill: fill.share, default=None)
