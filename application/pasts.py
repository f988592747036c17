"""The states of streams: read once, and remembered for the next command.

A command costs the same however long its stream is: nothing is read again while this process remembers the
state. If another writer has continued the stream, the append fails.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import groupby
from operator import attrgetter
from threading import Lock
from typing import Any

import msgspec
from eventsourcing.persistence import StoredEvent
from immutables import Map

from application.audit.chain import leaf_of
from application.event_log import EventLog
from application.log_batches import BATCH_BYTES, size_of, weight_of
from application.snapshots import SnapshotContent, Snapshots
from domain.archived import refuse_archived
from domain.event import Event, Recorded

Events = tuple[Recorded, ...]
Evolve = Callable[[Any, Event], Any]

SHORT = 100
"""A stream of up to so many events is remembered with them, for callers that answer with their fold; but not
if they have more bytes than a batch."""


class Past(msgspec.Struct, frozen=True):
    """A stream up to a version: its state, and the ids of the commands that led there, each with the version
    after it.

    ``events`` are all of them, or none if they are too many, or too large, to keep. ``digests`` are of what
    was asked, for those commands whose ids the caller chose.
    """

    version: int = 0
    state: Any = None
    commands: Map[str, int] = Map()
    events: Events | None = ()
    digests: Map[str, str] = Map()
    epoch: int = 0
    """The log's epoch when it was read. A past of an older epoch is not remembered."""
    size: int = 0
    """Its size in bytes as it is stored, as far as that is known."""
    correlation_id: str = ""
    """The correlation of its first event: what the stream belongs to."""

    def then(self, new: Events, evolve: Evolve) -> "Past":
        """Return the past after the new events of one command, or any others."""
        if not new:
            return self
        state, commands, digests = self.state, self.commands, self.digests
        for recorded in new:
            meta = recorded.meta
            state = evolve(state, recorded.event)
            commands = commands.set(meta.command_id, recorded.version)
            if meta.request_digest is not None:
                digests = digests.set(meta.command_id, meta.request_digest)
        events = None if self.events is None else self.events + new
        correlation_id = self.correlation_id or new[0].meta.correlation_id
        return Past(new[-1].version, state, commands, events, digests, self.epoch, self.size, correlation_id)

    def ends_with(self, newest: Recorded) -> bool:
        """Return whether the log still has the event with which this ends. A restored log may not."""
        return newest.version == self.version and newest.meta.command_id in self.commands

    @property
    def weight(self) -> int:
        """What it costs to remember it, counted in ordinary events; for a long stream only the state."""
        if self.events is not None:
            return weight_of(len(self.events), self.size)
        return 1 + weight_of(self.version, self.size) // 10


class Pasts:
    """The pasts of the streams that were used last, up to ``most`` ordinary events of them, and the last one
    however long. Any thread may use this."""

    def __init__(self, log: EventLog, *, most: int, snapshots: Snapshots | None = None) -> None:
        self._log = log
        self._snapshots = snapshots
        self._most = most
        self._weight = 0
        self._remembered: OrderedDict[str, Past] = OrderedDict()
        self._guard = Lock()
        self._epoch = log.epoch

    def forget_what_is_past(self) -> None:
        """Forget everything if a key was destroyed, because states and events hold what it sealed, or if the
        log is another one, because that may not have the events.

        Raises:
            StoreUnavailable: this cannot be known now.
        """
        self._log.look_for_erasures()
        if self._epoch != self._log.epoch:
            with self._guard:
                self._epoch = self._log.epoch
                self._remembered.clear()
                self._weight = 0

    def remembered(self, stream: str) -> Past | None:
        """Return what is remembered of a stream. It was true once, and may no longer be."""
        with self._guard:
            past = self._remembered.get(stream)
            if past is not None:
                self._remembered.move_to_end(stream)
            return past

    def read(self, wanted: Mapping[str, Evolve]) -> Mapping[str, Past | Exception]:
        """Return each stream as the log has it now, or why it cannot be read. Of a remembered stream only its
        newest remembered event and later ones are read."""
        self.forget_what_is_past()
        nothing = Past(epoch=self._epoch)
        known = {stream: past for stream in wanted if (past := self.remembered(stream)) is not None}
        leaves = dict[str, bytes]()
        if self._snapshots is not None:
            for stream, (kept, leaf) in self._snapshots.of(wanted.keys() - known.keys()).items():
                known[stream], leaves[stream] = self._past_of(kept), leaf
        readings = {
            stream: _Reading(self._log, known.get(stream, nothing), evolve, leaves.get(stream))
            for stream, evolve in wanted.items()
        }
        switches, parts = self._log.ours.switches, 0
        for part in self._log.in_parts(
            {stream: max(0, reading.known.version - 1) for stream, reading in readings.items()}
        ):
            parts += 1
            for stream, stored in groupby(part, attrgetter("originator_id")):
                readings[stream].take(list(stored))
        if parts > 1 and switches != self._log.ours.switches:
            return self.read(wanted)
        return {stream: self._read_to_its_end(stream, reading) for stream, reading in readings.items()}

    def remember(self, stream: str, past: Past) -> None:
        """Remember a stream, and forget those that were not used for longest."""
        if self._snapshots is not None:
            self._snapshots.offer(
                stream,
                SnapshotContent(
                    past.version, past.state, past.commands, past.digests, past.correlation_id, past.epoch
                ),
            )
        if past.events is not None and (len(past.events) > SHORT or past.size > BATCH_BYTES):
            past = msgspec.structs.replace(past, events=None)
        with self._guard:
            before = self._remembered.get(stream, Past())
            if before.version > past.version or past.epoch != self._epoch:
                return
            self._remembered[stream] = past
            self._remembered.move_to_end(stream)
            self._weight += past.weight - before.weight
            while self._weight > self._most and len(self._remembered) > 1:
                self._weight -= self._remembered.popitem(last=False)[1].weight

    def _past_of(self, kept: SnapshotContent) -> Past:
        return Past(
            version=kept.version,
            state=kept.state,
            commands=kept.commands,
            events=None,
            digests=kept.digests,
            epoch=self._epoch,
            correlation_id=kept.correlation_id,
        )

    def _forget(self, stream: str) -> None:
        with self._guard:
            self._weight -= self._remembered.pop(stream, Past()).weight

    def _read_to_its_end(self, stream: str, reading: "_Reading") -> Past | Exception:
        if reading.error is not None:
            return reading.error
        if not reading.is_of_this_log:
            self._forget(stream)
            if self._snapshots is not None:
                self._snapshots.distrust(stream)
            return self.read({stream: reading.evolve})[stream]
        if reading.past.version:
            self.remember(stream, reading.past)
        return reading.past


class _Reading:
    """The state of a stream while it is read. ``leaf`` is the hash of the event with which a snapshot ends,
    if ``known`` comes from one."""

    def __init__(self, log: EventLog, known: Past, evolve: Evolve, leaf: bytes | None) -> None:
        self.known = self.past = known
        self.evolve = evolve
        self.error: Exception | None = None
        self.is_of_this_log = not known.version
        """Whether the log has the event with which the known past ends. That event is read first."""
        self._log = log
        self._leaf = leaf

    def take(self, stored: list[StoredEvent]) -> None:
        """Continue with the next events; with none if the stream's state cannot be determined."""
        if self.error is not None:
            return
        try:
            self._go_on(stored)
        except Exception as error:
            self.error = error

    def _go_on(self, stored: list[StoredEvent]) -> None:
        events = self._log.all_recorded(stored)
        refuse_archived(events)
        if self.past is self.known and self.known.version:
            if not self.known.ends_with(events[0]) or self._leaf not in (None, _leaf(stored[0])):
                return
            self.is_of_this_log = True
            events, stored = events[1:], stored[1:]
        past = self.past.then(events, self.evolve)
        size = self.past.size + size_of(stored)
        kept = None if size > BATCH_BYTES else past.events
        self.past = msgspec.structs.replace(past, size=size, events=kept)


def _leaf(event: StoredEvent) -> bytes:
    return leaf_of(str(event.originator_id), event.originator_version, event.topic, event.state)
