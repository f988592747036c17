"""What a follower does in turns: of each tenant the next, so that one's thousands keep no other waiting.

The log has an order in each partition, and where that goes over all tenants, one's mass of events lies before
the others'. Who acts on events one by one reads ahead of it: what it wants is put into a lane a tenant, and
of these lanes the next are taken in turn, a portion at a time. The position moves when all before it is done,
so what was done behind it is done again after a crash, and finds itself done (ADR 40).

What is ahead has its bounds in memory. A tenant's lane that is long enough reads no further with the others:
it comes back to the log by itself, from where it left off.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from domain.event import PutOff, Recorded
from domain.interest import Interest
from projections.ports import Batch, Log
from projections.reading import Portion, Reading, Settled

PORTION = 64
"""So many are handled before the next look at the log: about as long as that takes, a tenant waits who had
nothing to do."""

LONG_LANE = 500
"""A tenant that has so much ahead reads on by itself."""

MOST_APART = 8
"""So many tenants read by themselves, as each reads all of the log that it is behind with."""

MOST_AHEAD = 4_000
"""Of all tenants together, in ordinary events. Where nobody has much and it is full all the same, the log's
own order is fair enough."""

_BATCHES_AT_ONCE = 10
"""Between two portions, for all and for each that reads by itself: who is far behind handles meanwhile."""


class InTurns(Reading):
    """In each tenant's order, portion by portion."""

    def ahead_of(self, partition: str, position: str | None) -> "_Ahead":
        """With a lane for each tenant."""
        return _Ahead(self._log, self._wants, partition, position)


class _Offered(msgspec.Struct, frozen=True):
    events: Sequence[Recorded]
    position: str | None
    is_cut: bool


class _Open(msgspec.Struct, frozen=True):
    """An event that is not handled yet, the ``number``-th that was read."""

    number: int
    weight: int
    recorded: Recorded


class _Mark(msgspec.Struct, frozen=True):
    """A position, and how many events were read up to there."""

    number: int
    position: str | None


class _Lane:
    """What a tenant has ahead, and where it reads on if that is apart from the others."""

    def __init__(self) -> None:
        self.open: deque[_Open] = deque()
        self.weight = 0
        self.apart: _Mark | None = None

    @property
    def has_more(self) -> bool:
        """Whether anything is left to do, or may be where it reads on."""
        return bool(self.open) or self.apart is not None

    @property
    def done(self) -> float:
        """Up to which number nothing is left to do."""
        if self.open:
            return self.open[0].number - 1
        return float("inf") if self.apart is None else self.apart.number

    def add(self, opened: _Open) -> None:
        """Do it after the others."""
        self.open.append(opened)
        self.weight += opened.weight

    def take(self) -> Recorded:
        """The oldest, to be done now."""
        taken = self.open.popleft()
        self.weight -= taken.weight
        return taken.recorded


class _Ahead:
    """What was read of a partition behind the position up to which all is handled."""

    def __init__(self, log: Log, wants: Interest, partition: str, settled: str | None) -> None:
        self.settled = settled
        self._log = log
        self._wants = wants
        self._partition = partition
        self._end = _Mark(0, settled)
        self._is_cut = True
        self._marks: deque[_Mark] = deque()
        self._lanes: dict[str, _Lane] = {}
        self._offered: _Offered | None = None

    async def next(self, limit: int) -> Portion | None:
        """The next portion, where there is anything; the same again until it is settled."""
        if self._offered is None:
            has_read = await self._read_on(limit)
            events, position = self._taken(), self._position()
            if events or has_read or position != self.settled:
                self._offered = _Offered(events, position, self._is_cut or bool(self._lanes))
        return self._offered

    def settle(self, put_off: PutOff | None) -> Settled:
        """The portion that was offered is handled."""
        assert put_off is None, "who takes turns puts nothing off"
        if self._offered is not None:
            self.settled, self._offered = self._offered.position, None
        return Settled(self.settled)

    async def _read_on(self, limit: int) -> bool:
        """Read on where there is room; whether anything has come."""
        before, has_read = self._end, False
        for tenant, lane in list(self._lanes.items()):
            has_read |= await self._read_apart(tenant, lane, limit)
            if not lane.has_more:
                del self._lanes[tenant]
        for _ in range(_BATCHES_AT_ONCE):
            self._set_apart()
            if self._is_full() or not await self._read_together(limit):
                break
        return has_read or self._end is not before

    def _set_apart(self) -> None:
        apart = sum(lane.apart is not None for lane in self._lanes.values())
        for lane in self._lanes.values():
            if lane.apart is None and lane.weight >= LONG_LANE and apart < MOST_APART:
                lane.apart = self._end
                apart += 1

    async def _read_together(self, limit: int) -> bool:
        """Read a batch into the lanes; whether there may be more."""
        batch = await self._log.read(self._partition, self._end.position, limit)
        self._is_cut = batch is not None and batch.is_cut
        if batch is None:
            return False
        weight = _weight_of_each(batch)
        for number, recorded in enumerate(batch.events, start=self._end.number + 1):
            if self._wants(recorded.event):
                lane = self._lanes.setdefault(recorded.meta.tenant, _Lane())
                if lane.apart is None:
                    lane.add(_Open(number, weight, recorded))
        self._end = _Mark(self._end.number + len(batch.events), batch.position)
        self._marks.append(self._end)
        return batch.is_cut

    async def _read_apart(self, tenant: str, lane: _Lane, limit: int) -> bool:
        """Read for one tenant alone, up to where the others have come: then it is one of them. Whether
        anything has come."""
        has_read = False
        for _ in range(_BATCHES_AT_ONCE):
            begin = lane.apart
            if begin is None or len(lane.open) >= PORTION:
                break
            if begin.number >= self._end.number:
                lane.apart = None
                break
            batch = await self._log.read(self._partition, begin.position, limit)
            if batch is None:
                break
            weight = _weight_of_each(batch)
            for number, recorded in enumerate(batch.events, start=begin.number + 1):
                is_its = recorded.meta.tenant == tenant and self._wants(recorded.event)
                if is_its and number <= self._end.number:
                    lane.add(_Open(number, weight, recorded))
            reached = _Mark(begin.number + len(batch.events), batch.position)
            lane.apart = reached if reached.number < self._end.number else None
            has_read = True
        return has_read

    def _is_full(self) -> bool:
        """Whether no more fits in of those who read together."""
        together = [lane.weight for lane in self._lanes.values() if lane.apart is None]
        return sum(together) >= MOST_AHEAD or max(together, default=0) >= LONG_LANE

    def _taken(self) -> list[Recorded]:
        """Of each tenant the next, in turn; who was not served this time is the next to be."""
        taken: list[Recorded] = []
        while len(taken) < PORTION:
            tenant = next((each for each, lane in self._lanes.items() if lane.open), None)
            if tenant is None:
                break
            lane = self._lanes.pop(tenant)
            taken.append(lane.take())
            if lane.has_more:
                self._lanes[tenant] = lane
        return taken

    def _position(self) -> str | None:
        """The last known one before which nothing is left to do but what was taken."""
        done = min((lane.done for lane in self._lanes.values()), default=float("inf"))
        position = self.settled
        while self._marks and self._marks[0].number <= done:
            position = self._marks.popleft().position
        return position


def _weight_of_each(batch: Batch) -> int:
    return max(1, batch.weight // len(batch.events))
