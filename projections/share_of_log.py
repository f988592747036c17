"""The log as a follower sees it that has a share of the tenants."""

from collections.abc import Mapping, Sequence

from domain.interest import Interest
from domain.share import Share
from projections.ports import Alarm, Batch, Compared, Log


class ShareOfLog:
    """Has the partitions of one share. Its followers are woken for all partitions, because events name
    none."""

    def __init__(self, log: Log, share: Share) -> None:
        self._log = log
        self._share = share
        self._all: Sequence[str] = []
        self._ours: Sequence[str] = []

    @property
    def epoch(self) -> int:
        """Whoever remembers the content of events must forget it when this changes."""
        return self._log.epoch

    async def partitions(self) -> Sequence[str]:
        """Return the present partitions of the share. They are computed again only when there are others,
        because each follower of each share asks all the time."""
        there = list(await self._log.partitions())
        if there != self._all:
            self._all, self._ours = there, [each for each in there if self._share.has(each)]
        return self._ours

    async def read(self, partition: str, after: str | None, limit: int) -> Batch | None:
        """Return the next events after a position, or None if there are none."""
        return await self._log.read(partition, after, limit)

    async def compare(self, positions: Mapping[str, str]) -> Compared:
        """Find the partitions whose given position is not of this log."""
        return await self._log.compare(positions)

    async def count_after(self, partition: str, after: str | None) -> int:
        """Return about how many events follow a position."""
        return await self._log.count_after(partition, after)

    def subscribe(self, wants: Interest) -> Alarm:
        """Return an alarm that appends of wanted events set off, in other shares too."""
        return self._log.subscribe(wants)
