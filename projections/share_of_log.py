"""The log as a follower sees it that has a share of the tenants."""

from collections.abc import Mapping, Sequence

from domain.interest import Interest
from domain.share import Share
from projections.ports import Alarm, Batch, Compared, Log


class ShareOfLog:
    """Has the partitions of one share. Who follows it is woken for all: events name no partition."""

    def __init__(self, log: Log, share: Share) -> None:
        self._log = log
        self._share = share
        self._all: Sequence[str] = []
        self._ours: Sequence[str] = []

    @property
    def epoch(self) -> int:
        """Who remembers what events say forgets it when this has changed."""
        return self._log.epoch

    async def partitions(self) -> Sequence[str]:
        """Those of the share that there are now, worked out anew when there are others: each follower of each
        share asks all the time, however many tenants there are."""
        there = list(await self._log.partitions())
        if there != self._all:
            self._all, self._ours = there, [each for each in there if self._share.has(each)]
        return self._ours

    async def read(self, partition: str, after: str | None, limit: int) -> Batch | None:
        """The next events after a position, or nothing."""
        return await self._log.read(partition, after, limit)

    async def compare(self, positions: Mapping[str, str]) -> Compared:
        """Whether the position in each of some partitions is of this log."""
        return await self._log.compare(positions)

    async def count_after(self, partition: str, after: str | None) -> int:
        """About how many events follow a position."""
        return await self._log.count_after(partition, after)

    def subscribe(self, wants: Interest) -> Alarm:
        """Be woken by appends of what is wanted, in other shares too."""
        return self._log.subscribe(wants)
