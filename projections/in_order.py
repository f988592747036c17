"""Handles events in the log's order, except for what the handler puts off.

An event that cannot be handled now would hold up everything behind it. So it is put off, together with the
later events of its stream, and retried in its own time, while the follower continues with the other streams.
The position stays before the first event that waits. What was handled behind it is handled again after a
crash or a handover, so there is a limit to how far the follower goes on.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import anyio
import msgspec
import structlog

from domain.event import PutOff, Recorded
from domain.interest import Interest
from projections.ports import Log
from projections.reading import Portion, Reading, Settled

MOST_AHEAD = 10_000
"""How many wanted events are handled behind the first that waits, counted in ordinary ones."""

FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 300.0
"""The pauses between the tries double up to this. Each try may be noticed by somebody who has it already."""

log = structlog.get_logger(__name__)


class InOrder(Reading):
    """Batch by batch, with the events that are due to be retried."""

    def ahead_of(self, partition: str, position: str | None) -> "_Ahead":
        """Return a buffer with a line for each stream that waits."""
        return _Ahead(self._log, self._wants, partition, position)


class _Open(NamedTuple):
    """An event that is not handled yet, the batch that it came in, and the position before that."""

    batch: int
    before: str | None
    recorded: Recorded


class _Line(msgspec.Struct):
    """The waiting events of a stream, in its order."""

    open: list[_Open]
    tries: int
    again_at: float


class _Offered(msgspec.Struct, frozen=True):
    events: Sequence[Recorded]
    position: str | None
    is_cut: bool
    tried: Sequence[_Open] = ()


class _Ahead:
    """What was read of a partition behind the position up to which all is handled."""

    def __init__(self, log: Log, wants: Interest, partition: str, settled: str | None) -> None:
        self.settled = settled
        self._log = log
        self._wants = wants
        self._partition = partition
        self._end = settled
        self._batches = 0
        self._weight = 0
        self._why = ""
        self._lines: dict[str, _Line] = {}
        self._offered: _Offered | None = None

    async def next(self, limit: int) -> Portion | None:
        """Return the next portion, if there is one. It is the same again until it is settled."""
        if self._offered is None:
            is_full = self._lines and self._weight >= MOST_AHEAD
            batch = None if is_full else await self._log.read(self._partition, self._end, limit)
            if batch is not None and not self._lines:
                self._offered = _Offered(batch.events, batch.position, batch.is_cut)
            elif batch is not None:
                wanted = self._wants.among(batch.events)
                self._weight += len(wanted) * batch.weight // len(batch.events)
                at_once = self._without_those_that_wait(self._opened(wanted))
                passed = [each for each in batch.events if not self._wants(each.event)]
                self._offer([*self._due(), *at_once], passed, batch.position, is_cut=batch.is_cut)
            else:
                self._offer(self._due(), (), self._end, is_cut=False)
        return self._offered

    def settle(self, put_off: PutOff | None) -> Settled:
        """Note that the portion is handled, except for what was put off."""
        offered, self._offered = self._offered, None
        assert offered is not None, "what is settled was offered before"
        if put_off is None and not self._lines:
            self.settled = self._end = offered.position
            return Settled(self.settled)
        tried = offered.tried or self._opened(self._wants.among(offered.events))
        left = {(each.stream, each.version) for each in put_off.events} if put_off else frozenset()
        again: dict[str, list[_Open]] = {}
        for each in tried:
            line = again.setdefault(each.recorded.stream, [])
            if (each.recorded.stream, each.recorded.version) in left:
                line.append(each)
        if put_off is not None:
            self._why = put_off.why
        for stream, waiting in again.items():
            self._put_off(stream, waiting)
        self._end = offered.position
        if not self._lines:
            self.settled, self._weight = self._end, 0
            return Settled(self.settled)
        first = min((line.open[0] for line in self._lines.values()), key=lambda each: each.batch)
        self.settled = first.before
        since = min(line.open[0].recorded.timestamp for line in self._lines.values())
        return Settled(self.settled, since, self._why)

    def _opened(self, wanted: Iterable[Recorded]) -> list[_Open]:
        """Return the wanted events of the batch that begins where the last one ended."""
        self._batches += 1
        return [_Open(self._batches, self._end, recorded) for recorded in wanted]

    def _offer(
        self, tried: Sequence[_Open], passed: Sequence[Recorded], position: str | None, *, is_cut: bool
    ) -> None:
        events = [*(each.recorded for each in tried), *passed]
        if events or position != self._end:
            self._offered = _Offered(events, position, is_cut, tried)

    def _without_those_that_wait(self, opened: Iterable[_Open]) -> list[_Open]:
        """Return the events that can be handled now. The others join their line."""
        at_once = []
        for each in opened:
            line = self._lines.get(each.recorded.stream)
            if line is None:
                at_once.append(each)
            else:
                line.open.append(each)
        return at_once

    def _due(self) -> list[_Open]:
        now = anyio.current_time()
        return [each for line in self._lines.values() if line.again_at <= now for each in line.open]

    def _put_off(self, stream: str, waiting: list[_Open]) -> None:
        if not waiting:
            self._lines.pop(stream, None)
            return
        tries = self._lines[stream].tries + 1 if stream in self._lines else 1
        seconds = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(tries - 1, 30))
        self._lines[stream] = _Line(waiting, tries, anyio.current_time() + seconds)
        log.warning("put_off", stream=stream, attempt=tries, in_seconds=seconds, error=self._why)
