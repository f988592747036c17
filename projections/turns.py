"""Handles the events of tenants in turns, so that one tenant's thousands do not hold up the others.

Each partition has an order, and if it holds several tenants, the many events of one may lie before those of
the others. A follower that handles events one by one therefore reads ahead: it puts wanted events into one
lane per tenant, and takes the next ones of these lanes in turn, a portion at a time. The position moves when
everything before it is handled. So what was handled behind it is handled again after a crash, and has no
effect then (ADR 40).

Memory for what was read is limited. A tenant whose lane is long enough is no longer read together with the
others: its lane reads the log by itself, from where it left off.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from domain.event import PutOff, Recorded
from domain.interest import Interest
from projections.ports import Batch, Log
from projections.reading import Portion, Reading, Settled

PORTION = 64
"""How many events are handled before the next read of the log. A tenant that had nothing to do waits about
that long."""

LONG_LANE = 500
"""The number of waiting events from which a tenant's lane reads by itself."""

MOST_APART = 8
"""How many lanes may read by themselves. Each reads all of the log that it is behind with."""

MOST_AHEAD = 4_000
"""The most waiting events of all tenants together, counted in ordinary events. If no tenant has many and this
is reached nevertheless, the log's own order is fair enough."""

_BATCHES_AT_ONCE = 10
"""The most batches read between two portions, for all together and for each lane that reads by itself. A
follower that is far behind handles events meanwhile."""


class InTurns(Reading):
    """Portion by portion, in each tenant's order."""

    def ahead_of(self, partition: str, position: str | None) -> "_Ahead":
        """Return a buffer with a lane for each tenant."""
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
    """The waiting events of a tenant, and where it continues if it reads by itself."""

    def __init__(self) -> None:
        self.open: deque[_Open] = deque()
        self.weight = 0
        self.apart: _Mark | None = None

    @property
    def has_more(self) -> bool:
        """Whether anything waits, or may be found where it continues."""
        return bool(self.open) or self.apart is not None

    @property
    def done(self) -> float:
        """The number up to which nothing waits."""
        if self.open:
            return self.open[0].number - 1
        return float("inf") if self.apart is None else self.apart.number

    def add(self, opened: _Open) -> None:
        """Add an event behind the others."""
        self.open.append(opened)
        self.weight += opened.weight

    def take(self) -> Recorded:
        """Remove and return the oldest event, to be handled now."""
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
        """Return the next portion, if there is one. It is the same again until it is settled."""
        if self._offered is None:
            has_read = await self._read_on(limit)
            events, position = self._taken(), self._position()
            if events or has_read or position != self.settled:
                self._offered = _Offered(events, position, self._is_cut or bool(self._lanes))
        return self._offered

    def settle(self, put_off: PutOff | None) -> Settled:
        """Note that the portion is handled."""
        assert put_off is None, "who takes turns puts nothing off"
        if self._offered is not None:
            self.settled, self._offered = self._offered.position, None
        return Settled(self.settled)

    async def _read_on(self, limit: int) -> bool:
        """Read on if there is room. Return whether anything was read."""
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
        """Read a batch into the lanes. Return whether there may be more."""
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
        """Read for one tenant alone, up to where the others have come; from there it is read with them.
        Return whether anything was read."""
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
        """Return whether there is no more room for the lanes that are read together."""
        together = [lane.weight for lane in self._lanes.values() if lane.apart is None]
        return sum(together) >= MOST_AHEAD or max(together, default=0) >= LONG_LANE

    def _taken(self) -> list[Recorded]:
        """Remove and return the next events of each tenant in turn. A tenant that was not served this time is
        the next."""
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
        """Return the last known position before which nothing waits except what was taken."""
        done = min((lane.done for lane in self._lanes.values()), default=float("inf"))
        position = self.settled
        while self._marks and self._marks[0].number <= done:
            position = self._marks.popleft().position
        return position


def _weight_of_each(batch: Batch) -> int:
    return max(1, batch.weight // len(batch.events))
