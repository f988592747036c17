"""Snapshots: the folded states of long streams, stored beside the log, so that a process need not read a
stream from its first event.

A snapshot is derived: it may be deleted, is no part of the hash chain, and nobody sees it. It is used only if
this release's code made it, if it is whole, and if the log still has the event that it ends with, byte for
byte. Otherwise the stream is read as if there were no snapshot.
"""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache
from hmac import compare_digest
from itertools import chain, takewhile
from threading import Lock
from time import monotonic
from typing import Any, Protocol

import msgspec
import structlog
from eventsourcing.persistence import StoredEvent
from immutables import Map

import domain
from application import event_mapper
from application.audit.chain import leaf_of
from application.event_log import EventLog
from application.recipe import recipe_of
from application.snapshot_bytes import Unreadable, from_bytes, to_bytes

EVERY = 1_000
"""How many events may follow a snapshot before the next one. Reading them takes 6 to 12 ms."""

_GROWN_BY = 10
"""A long stream gets its next snapshot when it has grown by a tenth. A snapshot is as large as the past is
long, so the cost of all snapshots per event stays the same."""

_WAIT_SECONDS = 2.0
"""How long commands wait to learn which streams have a snapshot. After that they read their streams from the
first event."""

_REST_SECONDS = 10.0
"""When to ask again, if this could not be learned."""

log = structlog.get_logger(__name__)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a stream: its state at a version, and the proof that the state can be used.

    ``leaf`` is the hash of the event at that version (docs/audit.md). ``digest`` is the log's tag of
    everything else (:meth:`application.event_log.EventLog.tag`).
    """

    stream: str
    version: int
    recipe: str
    leaf: bytes
    body: bytes
    digest: bytes

    @property
    def tagged(self) -> bytes:
        """The content that ``digest`` is of."""
        parts = (self.stream.encode(), b"%d" % self.version, self.recipe.encode(), self.leaf, self.body)
        return b"".join(b"%d:%b" % (len(part), part) for part in parts)


class SnapshotStore(Protocol):
    """Stores snapshots. Any thread may use it. Its errors are the store's own."""

    def versions(self, partition: str | None = None) -> Mapping[str, int]:
        """Return the version of the snapshot of each stream that has one: of all streams, or of those in a
        partition of the log."""
        ...

    def get(self, stream: str) -> Snapshot | None:
        """Return the snapshot of a stream, if there is one."""
        ...

    def put(self, snapshot: Snapshot) -> None:
        """Store a snapshot in place of the stream's former one, unless the stream was forgotten."""
        ...

    def forget(self, stream: str) -> None:
        """Delete the snapshot of a stream, and never store another one of it, whoever may still try."""
        ...

    def close(self) -> None:
        """End the use of the store."""
        ...


class SnapshotContent(msgspec.Struct, frozen=True):
    """The content of a snapshot."""

    version: int
    state: Any
    commands: Map[str, int]
    digests: Map[str, str]
    correlation_id: str
    epoch: int = 0
    """The log's epoch when the process read the stream. It is not stored."""


class Snapshots:
    """The snapshots of one log. A thread of its own makes them, behind the commands."""

    def __init__(self, store: SnapshotStore, log: EventLog, *, every: int = EVERY) -> None:
        self._store = store
        self._log = log
        self._every = every
        self._recipe = recipe()
        self._versions: dict[str, int] = {}
        self._tried: dict[str, int] = {}
        """The version at which a stream's last snapshot was tried, even if that failed."""
        self._clean: dict[str, int] = {}
        """The version up to which a stream's last usable snapshot holds nothing that is sealed."""
        self._guard = Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="snapshots")
        self._askers = ThreadPoolExecutor(log.ours.reads_at_once, thread_name_prefix="snapshots known")
        self._asking: dict[str, Future[None]] = {}
        self._again_at: dict[str, float] = {}
        self._known: set[str] = set()
        """The partitions of which it is known which streams have a snapshot."""

    def of(self, streams: Collection[str]) -> Mapping[str, tuple[SnapshotContent, bytes]]:
        """Return the snapshots of those streams that have one, each with the hash of the event that the log
        must still have at its version.

        A stream that had no snapshot when this process first asked about its partition, and has got none from
        it since, is not looked up.
        """
        self._learn({self._log.ours.partition_of(stream) for stream in streams})
        with self._guard:
            wanted = [stream for stream in streams if stream in self._versions]
        return {stream: found for stream in wanted if (found := self._found(stream)) is not None}

    def distrust(self, stream: str) -> None:
        """Use a stream's snapshot no more: it does not fit this release or this log."""
        with self._guard:
            self._versions.pop(stream, None)
            self._tried.pop(stream, None)
            self._clean.pop(stream, None)

    def offer(self, stream: str, kept: SnapshotContent) -> None:
        """Make a snapshot of a stream's state, if the stream has grown enough since the last one."""
        if kept.version <= self._every:
            return
        with self._guard:
            last = max(self._versions.get(stream, 0), self._tried.get(stream, 0))
            if kept.version - last <= max(self._every, kept.version // _GROWN_BY):
                return
            self._tried[stream] = kept.version
        with suppress(RuntimeError):
            self._thread.submit(self._make, stream, kept)

    def forget(self, stream: str) -> None:
        """Delete a stream's snapshot for good, because its events must not be read any more as they were.

        Raises:
            Exception: the store's own; the snapshot may still be there.
        """
        self.distrust(stream)
        self._store.forget(stream)

    def close(self) -> None:
        """Finish the snapshots that are to be made, and use the store no more."""
        self._askers.shutdown(wait=True, cancel_futures=True)
        self._thread.shutdown(wait=True)
        self._store.close()

    def _learn(self, partitions: AbstractSet[str]) -> None:
        """Learn which streams of these partitions have a snapshot, if that is quick. Commands on other
        partitions do not wait."""
        now = monotonic()
        with self._guard:
            asked = [
                self._asked_about(partition)
                for partition in partitions - self._known
                if now >= self._again_at.get(partition, now)
            ]
        wait(asked, _WAIT_SECONDS)

    def _asked_about(self, partition: str) -> Future[None]:
        if partition not in self._asking:
            self._asking[partition] = self._askers.submit(self._ask, partition)
        return self._asking[partition]

    def _ask(self, partition: str) -> None:
        try:
            found = self._store.versions(partition)
        except Exception as error:
            log.warning("snapshots_not_known", partition=partition, error=f"{type(error).__name__}: {error}")
            found = None
        with self._guard:
            del self._asking[partition]
            if found is None:
                self._again_at[partition] = monotonic() + _REST_SECONDS
            else:
                self._versions = {**found, **self._versions}
                self._known.add(partition)

    def _found(self, stream: str) -> tuple[SnapshotContent, bytes] | None:
        try:
            found = self._store.get(stream)
        except Exception as error:
            log.warning("snapshot_not_read", stream=stream, error=f"{type(error).__name__}: {error}")
            found = None
        kept = None if found is None else self._read(found)
        if kept is None or found is None:
            self.distrust(stream)
            return None
        with self._guard:
            self._clean[stream] = found.version
        return kept, found.leaf

    def _make(self, stream: str, kept: SnapshotContent) -> None:
        try:
            body = to_bytes((kept.state, kept.commands, kept.digests, kept.correlation_id))
            newest = self._log.stored_between(stream, kept.version - 1, kept.version)
            if not newest or self._tells_what_is_sealed(stream, kept, body):
                return
            snapshot = self._snapshot(stream, kept.version, body, newest[0])
            read = self._read(snapshot)
            if read is None or msgspec.structs.replace(read, epoch=kept.epoch) != kept:
                log.warning("snapshot_not_made", stream=stream, why="it does not come back as it was")
                return
            self._store.put(snapshot)
            with self._guard:
                self._versions[stream] = self._clean[stream] = kept.version
        except Exception as error:
            log.warning("snapshot_not_made", stream=stream, error=f"{type(error).__name__}: {error}")

    def _tells_what_is_sealed(self, stream: str, kept: SnapshotContent, body: bytes) -> bool:
        """Return whether a state may hold a value in clear that is sealed in the log.

        The events up to the last snapshot were already checked for that one. A key that was destroyed since
        the state was read cannot be distinguished from one destroyed before, so the answer is then yes.
        """
        if self._log.see_epoch() != kept.epoch:
            return True
        events = chain.from_iterable(self._log.in_parts({stream: self._clean.get(stream, 0)}))
        for event in takewhile(lambda event: event.originator_version <= kept.version, events):
            for value in self._log.sealed_values(event):
                if not isinstance(value, str) or value.encode("utf-8", "surrogatepass") in body:
                    return True
        return self._log.epoch != kept.epoch

    def _snapshot(self, stream: str, version: int, body: bytes, event: StoredEvent) -> Snapshot:
        leaf = leaf_of(stream, event.originator_version, event.topic, event.state)
        made = Snapshot(stream=stream, version=version, recipe=self._recipe, leaf=leaf, body=body, digest=b"")
        return msgspec.structs.replace(made, digest=self._log.tag(made.tagged))

    def _read(self, snapshot: Snapshot) -> SnapshotContent | None:
        """Return the content of a snapshot if it is of this release and whole."""
        if snapshot.recipe != self._recipe:
            return None
        if not compare_digest(snapshot.digest, self._log.tag(snapshot.tagged)):
            return None
        try:
            state, commands, digests, correlation_id = from_bytes(snapshot.body)
            return SnapshotContent(snapshot.version, state, commands, digests, correlation_id)
        except (Unreadable, TypeError, ValueError):
            return None


@cache
def recipe() -> str:
    """Return a hash of the code by which streams are folded now."""
    return recipe_of(domain, event_mapper)
