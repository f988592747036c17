"""How full tenants' logical partitions are. Each read of the end of an order tells."""

import structlog

from application.event_log import Fill

_WORTH_A_WORD = 0.5
"""The share of a partition's capacity from which the log warns. Indexes come on top of what we count, and
moving a tenant takes time."""

log = structlog.get_logger(__name__)


class Fills:
    """The last known fill of each tenant. Any thread may use this."""

    def __init__(self) -> None:
        self._fills: dict[str, Fill] = {}
        self._told: dict[str, int] = {}

    def note(self, tenant: str, fill: Fill) -> None:
        """Note a tenant's fill. From half on, the log warns at each further percent."""
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
        """Return the fullest, or None if nothing is known yet."""
        return max(list(self._fills.values()), key=lambda fill: fill.share, default=None)
