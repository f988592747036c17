"""The event log: our ``eventsourcing`` application, what its recorders must offer, and positions in the
log."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple, Protocol, cast

import msgspec
from eventsourcing.application import Application
from eventsourcing.persistence import (
    ApplicationRecorder,
    ConnectionPoolClosedError,
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    Notification,
    OperationalError,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.utils import Environment

from application.descriptors import reason_of
from application.event_mapper import EventMapper
from application.log_batches import BATCH_EVENTS, streams_in_parts
from application.privacy.sealing import Sealing
from domain.errors import StoreUnavailable
from domain.event import Recorded, event_id
from domain.privacy import ErasureCarriedOut

PARTITION = "log"
"""SQLite and PostgreSQL keep one order over all tenants, so their log has one partition. Cosmos DB keeps one
order per tenant, in a partition with the tenant's name."""

_PREFIX = "log"

BEGINNING = f"{_PREFIX}-0"
"""The position before the first event of any partition."""

_IDENTITY_DIGITS = 12

_POSITION = re.compile(rf"{BEGINNING}|{_PREFIX}-[1-9][0-9]{{0,17}}-[0-9a-f]{{{_IDENTITY_DIGITS}}}", re.ASCII)

Append = Sequence[StoredEvent]
"""New events of one stream."""

MAX_VERSION = 2**63 - 1
"""A version above that of every event."""

Ids = Sequence[int]
"""The ids of appended events, in their order. Within a partition, ids and commits have the same order."""


class Place(NamedTuple):
    """An event's place: its id in the order of its partition, and its place in its stream."""

    id: int
    stream: str
    version: int

    @property
    def position(self) -> str:
        """The position behind the event."""
        return position_of(self.id, self.stream, self.version)


class Compared(msgspec.Struct, frozen=True):
    """The partitions whose position is not of this log, and those that could not be read, with the reason."""

    unknown: Collection[str] = ()
    untold: Mapping[str, StoreUnavailable] = {}


class Fill(NamedTuple):
    """How full a partition with a limited capacity is."""

    events: int
    bytes: int
    most_bytes: int

    @property
    def share(self) -> float:
        """The share of the capacity that is used: 1 if the partition is full."""
        return self.bytes / self.most_bytes


class LogRecorder(Protocol):
    """What our recorders offer beyond the library's: reading several streams at once, several appends in one
    commit, and an order in each partition of the log. There is no order between partitions."""

    silent_seconds: float
    """How long a partition in which nothing was found counts as unchanged without any notification."""

    reads_at_once: int
    """How many threads may read concurrently. Partitions do not wait for each other."""

    @property
    def switches(self) -> int:
        """How often the log was found to be another log, or an earlier state of itself: for example after a
        failover to a server that has lost commits."""
        ...

    def partitions(self) -> Sequence[str]:
        """Return the known partitions, without a query."""
        ...

    def partition_of(self, stream: str) -> str:
        """Return the partition that holds a stream's events."""
        ...

    def select_after(self, partition: str, after: int, limit: int) -> Sequence[Notification]:
        """Return the next events of a partition after an id, in its order, up to a full batch: see
        :mod:`application.log_batches`."""
        ...

    def newest(self, partition: str) -> Place | None:
        """Return the last event of a partition."""
        ...

    def at_each(self, ids: Mapping[str, int]) -> Mapping[str, Place | StoreUnavailable | None]:
        """Return the event that has an id in each of some partitions, or the error if a partition cannot be
        read."""
        ...

    def catch_up(self, partition: str) -> None:
        """Make each later read of a partition find everything that was committed there until now."""
        ...

    def fullest(self) -> Fill | None:
        """Return the fullest partition of those that were read, without a query, or None if partitions have
        no limit of their own."""
        ...

    def select_streams(self, streams: Mapping[str, int], limit: int = BATCH_EVENTS) -> Sequence[StoredEvent]:
        """Return the next events of each stream after a version, ordered by stream and version, up to a full
        batch in all."""
        ...

    def select_before(self, stream: str, before: int | None, limit: int) -> Sequence[StoredEvent]:
        """Return the events of a stream before a version, or its last ones, the newest first, up to a full
        page: see :data:`application.log_batches.PAGE_BYTES`."""
        ...

    def append_together(
        self, appends: Sequence[Append], switches: int | None = None
    ) -> Sequence[Ids | Exception]:
        """Append each, all of it or none. Return the outcome of each, in their order.

        The outcome is IntegrityError if another writer was first. It is IntegrityError for all if
        :attr:`switches` is no longer what was given, which is what it was when the events were decided. If
        each tenant has an order of its own, the outcome is StoreUnavailable for a tenant whose partition is
        away or too busy.

        Raises:
            OperationalError: the store is away; nothing is known to be appended.
        """
        ...


class OneOrder(ApplicationRecorder):
    """A mixin for the library's recorders, which keep one order over all events."""

    silent_seconds = 0.05
    reads_at_once = 1

    @property
    def switches(self) -> int:
        """Always 0: nobody else uses a file while it is open."""
        return 0

    def partitions(self) -> Sequence[str]:
        """The log has one partition."""
        return (PARTITION,)

    def partition_of(self, stream: str) -> str:
        """The log has one partition."""
        return PARTITION

    def newest(self, partition: str) -> Place | None:
        """Return the last event of all."""
        found = self.select_notifications(self.max_notification_id() or 0, 1)
        return place_of(found[0]) if found else None

    def at_each(self, ids: Mapping[str, int]) -> Mapping[str, Place | StoreUnavailable | None]:
        """Return the event that has an id, or the first one behind it if there is none."""
        found = {partition: self.select_notifications(id, 1) for partition, id in ids.items()}
        return {partition: place_of(each[0]) if each else None for partition, each in found.items()}

    def catch_up(self, partition: str) -> None:
        """Do nothing: every read sees all commits."""

    def fullest(self) -> Fill | None:
        """Return None: only the disk has a limit."""
        return None


class EventLog(Application[str]):
    """The library's application with our mapper. Its settings come from the container alone."""

    name = "workflow_orchestrator"

    def __init__(self, env: Mapping[str, str] | None = None, sealing: Sealing | None = None) -> None:
        super().__init__(env)
        self._mapper.sealing = sealing
        self._sealing = sealing
        self._keys_since = 0 if sealing is None else self.ours.switches

    @property
    def epoch(self) -> int:
        """Whoever remembers the content of events must forget it when this changes: a key was destroyed, or
        the log is another one than before."""
        erasures = 0 if self._sealing is None else self._sealing.keyring.erasures
        return erasures + self.ours.switches

    def tag(self, content: bytes) -> bytes:
        """Return a digest of what is stored beside the log. If there is a master key, nobody can compute it
        without that key."""
        return sha256(content).digest() if self._sealing is None else self._sealing.keyring.tag(content)

    def look_for_erasures(self) -> None:
        """Check now and then whether a key was destroyed, so that :attr:`epoch` changes. If the log is
        another one now, forget all keys: that log may have lost some, and nobody could read what is sealed
        with them.

        Raises:
            StoreUnavailable: this cannot be known now.
        """
        if self._sealing is None:
            return
        switches = self.ours.switches
        if self._keys_since != switches:
            self._sealing.keyring.forget()
            self._keys_since = switches
        self._sealing.keyring.look()

    @property
    def _mapper(self) -> EventMapper:
        return cast(EventMapper, self.mapper)

    @property
    def too_new(self) -> str | None:
        """What was found that this release cannot read, if anything."""
        return self._mapper.too_new

    @property
    def ours(self) -> LogRecorder:
        """The recorder, with our type."""
        return cast(LogRecorder, self.recorder)

    def construct_env(self, name: str, env: Mapping[str, str] | None = None) -> Environment:
        """Return the given settings, without the process's environment."""
        return Environment(name, {"ORIGINATOR_ID_TYPE": "text", **(env or {})})

    def construct_mapper(self) -> EventMapper:
        """Return our mapper in place of the library's."""
        return self.factory.mapper(transcoder=self.construct_transcoder(), mapper_class=EventMapper)  # type: ignore[return-value]

    def recorded(self, stored: StoredEvent) -> Recorded:
        """Return a stored event as it was recorded."""
        return self.all_recorded([stored])[0]

    def all_recorded(self, stored: Sequence[StoredEvent]) -> tuple[Recorded, ...]:
        """Return stored events as they were recorded."""
        recorded = self._mapper.to_domain_events(stored)
        if self._sealing is not None and any(isinstance(each.event, ErasureCarriedOut) for each in recorded):
            self._sealing.keyring.hurry()
        return recorded

    def see_epoch(self) -> int:
        """Look whether anything was erased, and return :attr:`epoch`.

        Raises:
            StoreUnavailable: this cannot be known now.
        """
        if self._sealing is not None:
            self._sealing.keyring.hurry()
            self._sealing.keyring.look()
        return self.epoch

    def sealed_values(self, stored: StoredEvent) -> list[Any]:
        """Return the values that are sealed in an event, as far as their keys exist."""
        return self._mapper.sealed_values(stored)

    def recorded_with_keys(self, stored: StoredEvent) -> tuple[Recorded, list[bytes | None]]:
        """Return an event, and the keys of the values that are sealed in it."""
        return self._mapper.read_with_keys(stored)

    def stored(self, recorded: Recorded) -> StoredEvent:
        """Return an event in the form in which it is stored."""
        return self.mapper.to_stored_event(recorded)  # type: ignore[arg-type]

    def stored_between(self, stream: str, after: int, until: int) -> Sequence[StoredEvent]:
        """Return the stored events of a stream after one version and up to another."""
        return self.recorder.select_events(stream, gt=after, lte=until)

    def in_parts(self, streams: Mapping[str, int]) -> Iterator[Sequence[StoredEvent]]:
        """Yield the events of each stream after a version, a full batch at a time, ordered by stream and
        version."""
        return streams_in_parts(streams, self.ours.select_streams)

    def compare(self, positions: Mapping[str, str]) -> Compared:
        """Find the partitions whose given position is not of this log."""
        asked = {
            partition: number_of(position)
            for partition, position in positions.items()
            if position != BEGINNING
        }
        places = self.ours.at_each(asked) if asked else {}
        untold = {each: place for each, place in places.items() if isinstance(place, StoreUnavailable)}
        at = {each: place for each, place in places.items() if not isinstance(place, StoreUnavailable)}
        unknown = [each for each, place in at.items() if place is None or place.position != positions[each]]
        return Compared(unknown, untold)

    def head(self, partition: str) -> str:
        """Return the position after the last event of a partition."""
        newest = self.ours.newest(partition)
        return BEGINNING if newest is None else newest.position

    def head_for(self, stream: str) -> str:
        """Return the position after the last event of the partition that holds a stream."""
        return self.head(self.ours.partition_of(stream))


def place_of(found: Notification) -> Place:
    """Return the place of an event that the library returned."""
    return Place(found.id, str(found.originator_id), found.originator_version)


def position_of(id: int, stream: str, version: int) -> str:
    """Return the position behind an event. It names the event, so that a position of another log or partition
    is recognized. Whoever stores a position knows which partition it is of."""
    digits = event_id(stream, version).replace("-", "")
    return f"{_PREFIX}-{id}-{digits[:_IDENTITY_DIGITS]}"


def is_position(text: str) -> bool:
    """Return whether a text has the form of a position. Only the log itself knows whether it is one of its
    own."""
    return _POSITION.fullmatch(text) is not None


def number_of(position: str | None) -> int:
    """Return the id of the event that a position stands behind, or 0 at the beginning."""
    return 0 if position is None else int(position.split("-")[1])


@contextmanager
def failures_translated() -> Iterator[None]:
    """Raise the library's errors as ours if they say that the store is away."""
    try:
        yield
    except IntegrityError:
        raise
    except (InterfaceError, OperationalError, InternalError, ConnectionPoolClosedError) as error:
        raise StoreUnavailable(reason_of(error)) from error
    except PersistenceError as error:
        if type(error) in (PersistenceError, DatabaseError):
            raise StoreUnavailable(reason_of(error)) from error
        raise
