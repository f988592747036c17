"""A log of several partitions whose positions are no numbers, and a handler that can be told to fail."""

from collections.abc import Mapping, Sequence

import anyio
import msgspec

from application.event_log import Compared
from application.subscription import Subscription
from domain.errors import StoreUnavailable
from domain.event import Event, Recorded
from domain.interest import Interest
from domain.job import JobFired, JobRunCompleted
from domain.lease import Lease
from tests.builders import NOW, TENANT, recorded


class Slice(msgspec.Struct, frozen=True):
    """A batch of the fake log."""

    events: Sequence[Recorded]
    position: str
    is_cut: bool = False

    @property
    def weight(self) -> int:
        return len(self.events)


class PartitionedLog:
    """A log with a partition a tenant, as on Cosmos DB; a position names its event and nothing else."""

    def __init__(self, *partitions: str) -> None:
        self.events: dict[str, list[Recorded]] = {name: [] for name in partitions}
        self._places: dict[str, int] = {}
        self.error: Exception | None = None
        self.away: dict[str, StoreUnavailable] = {}
        self.reads: list[tuple[str, str | None]] = []
        self.epoch = 0
        self.room = 1_000_000
        """Events that go into a batch by their size, however many are asked for."""
        self._wakeups: set[Subscription] = set()

    def append(self, partition: str, *runs: str, unwanted: bool = False, tenant: str = TENANT) -> None:
        """Append a firing for each run, or something that the handler below does not want."""
        for run in runs:
            event: Event = JobFired(job="j", run_id=run, triggered_by="manual", fired_at=NOW, metadata={})
            if unwanted:
                event = JobRunCompleted(job="j", run_id=run, completed_at=NOW)
            kept = self.events.setdefault(partition, [])
            kept += recorded(f"{tenant}/job/{partition}", [event], first_version=len(kept) + 1)
            self._places[f"{partition}/{kept[-1].event_id}"] = len(kept)
            for wakeup in self._wakeups:
                wakeup.wake_for([event])

    def lose(self, partition: str) -> None:
        """Have its last event no more, as after a failover to a server that lagged."""
        del self._places[f"{partition}/{self.events[partition].pop().event_id}"]

    def _index(self, partition: str, after: str | None) -> int:
        return 0 if after is None else self._places[after]

    async def partitions(self) -> Sequence[str]:
        return list(self.events)

    async def read(self, partition: str, after: str | None, limit: int) -> Slice | None:
        self.reads.append((partition, after))
        await anyio.sleep(0)
        if error := self.away.get(partition, self.error):
            raise error
        start = self._index(partition, after)
        most = min(limit, self.room)
        events = self.events[partition][start : start + most]
        return Slice(events, f"{partition}/{events[-1].event_id}", len(events) == most) if events else None

    async def compare(self, positions: Mapping[str, str]) -> Compared:
        untold = {each: self.away[each] for each in positions if each in self.away}
        unknown = [
            partition
            for partition, position in positions.items()
            if partition not in untold
            and not (position.startswith(f"{partition}/") and position in self._places)
        ]
        return Compared(unknown, untold)

    async def count_after(self, partition: str, after: str | None) -> int:
        return len(self.events[partition]) - self._index(partition, after)

    def subscribe(self, wants: Interest) -> Subscription:
        return Subscription(self._wakeups, wants)


class Remembering:
    """A handler that remembers the runs it was given, batch by batch, and fails as often as told."""

    name = "remembering"
    wants = Interest(JobFired)
    may_repeat_unnoticed = False

    def __init__(self, *, failures: int = 0, error: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self.tried: list[list[str]] = []
        self.failures = failures
        self.error = error or ValueError("no luck")
        self.gate: anyio.Event | None = None
        self.entered = anyio.Event()

    @property
    def runs(self) -> list[str]:
        """All runs that were handled, in order."""
        return [run for batch in self.batches for run in batch]

    async def start_over(self) -> None:
        self.batches.clear()

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        runs = [each.event.run_id for each in events if isinstance(each.event, JobFired)]
        assert len(runs) == len(events) > 0
        self.tried.append(runs)
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise self.error
        self.batches.append(runs)
