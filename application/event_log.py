"""The event log: our ``eventsourcing`` application, what it must be able to do, and positions in it."""

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
"""SQLite and PostgreSQL keep one order over all tenants: one partition. Cosmos DB keeps one a tenant, which
has the tenant's name."""

_PREFIX = "log"

BEGINNING = f"{_PREFIX}-0"
"""The position before the first event of any partition."""

_IDENTITY_DIGITS = 12

_POSITION = re.compile(rf"{BEGINNING}|{_PREFIX}-[1-9][0-9]{{0,17}}-[0-9a-f]{{{_IDENTITY_DIGITS}}}", re.ASCII)

Append = Sequence[StoredEvent]
"""New events of one stream."""

MAX_VERSION = 2**63 - 1
"""Above that of each event."""

Ids = Sequence[int]
"""Those of appended events, in their order; in a partition ids and commits come in one order."""


class Place(NamedTuple):
    """An event's place: its id in the order of its partition, and where it is in its stream."""

    id: int
    stream: str
    version: int

    @property
    def position(self) -> str:
        """The position behind it."""
        return position_of(self.id, self.stream, self.version)


class Compared(msgspec.Struct, frozen=True):
    """The partitions whose position is none of this log, and those that could not be asked, with why."""

    unknown: Collection[str] = ()
    untold: Mapping[str, StoreUnavailable] = {}


class Fill(NamedTuple):
    """How much is in a partition that takes only so much."""

    events: int
    bytes: int
    most_bytes: int

    @property
    def share(self) -> float:
        """1 where it is full."""
        return self.bytes / self.most_bytes


class LogRecorder(Protocol):
    """What our recorders do beyond the library's: several streams in a look, several appends in a commit, and
    an order in each partition of the log. Where there are several there is no order between them."""

    silent_seconds: float
    """For how long a partition in which nothing was found may be taken for unchanged without a word of it."""

    reads_at_once: int
    """How many threads may read side by side: partitions do not wait for each other."""

    @property
    def switches(self) -> int:
        """How often the log was found to be another, or an earlier state of what it was: after a failover
        to a server that has lost commits, say."""
        ...

    def partitions(self) -> Sequence[str]:
        """The partitions that are known, without asking the store."""
        ...

    def partition_of(self, stream: str) -> str:
        """In which partition a stream's events are."""
        ...

    def select_after(self, partition: str, after: int, limit: int) -> Sequence[Notification]:
        """The next events of a partition after an id, in its order, up to a full batch: see
        :mod:`application.log_batches`."""
        ...

    def newest(self, partition: str) -> Place | None:
        """The last event of a partition."""
        ...

    def at_each(self, ids: Mapping[str, int]) -> Mapping[str, Place | StoreUnavailable | None]:
        """The event that has an id in each of some partitions; of one that cannot be asked, why."""
        ...

    def catch_up(self, partition: str) -> None:
        """Have each later look at a partition find all that was committed there until now."""
        ...

    def fullest(self) -> Fill | None:
        """The fullest partition of those that were looked at, without asking the store; none where
        a partition has no limit of its own."""
        ...

    def select_streams(self, streams: Mapping[str, int], limit: int = BATCH_EVENTS) -> Sequence[StoredEvent]:
        """The next events of each stream after a version, in the order of the streams and of their versions,
        up to a full batch of all together."""
        ...

    def select_before(self, stream: str, before: int | None, limit: int) -> Sequence[StoredEvent]:
        """The events of a stream before a version, or its last ones, the newest first, up to a full page: see
        :data:`application.log_batches.PAGE_BYTES`."""
        ...

    def append_together(
        self, appends: Sequence[Append], switches: int | None = None
    ) -> Sequence[Ids | Exception]:
        """Append each, all of it or none; what became of each, in their order.

        An append that another writer was faster than has IntegrityError for an answer; all have it where
        :attr:`switches` are not any more those that were given, as they were when the events were decided.
        Where each tenant has an order of its own, one whose partition is away, or too busy, has
        StoreUnavailable.

        Raises:
            OperationalError: the store is away; nothing is known to be appended.
        """
        ...


class OneOrder(ApplicationRecorder):
    """A mixin for the library's recorders, which keep one order over everything."""

    silent_seconds = 0.05
    reads_at_once = 1

    @property
    def switches(self) -> int:
        """None: a file is nobody else's while it is open."""
        return 0

    def partitions(self) -> Sequence[str]:
        """The log has one partition."""
        return (PARTITION,)

    def partition_of(self, stream: str) -> str:
        """The log has one partition."""
        return PARTITION

    def newest(self, partition: str) -> Place | None:
        """The last event of all."""
        found = self.select_notifications(self.max_notification_id() or 0, 1)
        return place_of(found[0]) if found else None

    def at_each(self, ids: Mapping[str, int]) -> Mapping[str, Place | StoreUnavailable | None]:
        """The event that has an id, or the first one behind where there is none."""
        found = {partition: self.select_notifications(id, 1) for partition, id in ids.items()}
        return {partition: place_of(each[0]) if each else None for partition, each in found.items()}

    def catch_up(self, partition: str) -> None:
        """Nothing: each look does."""

    def fullest(self) -> Fill | None:
        """The disk's limit is everybody's."""
        return None


class EventLog(Application[str]):
    """The library's application over our mapper. Its settings come from the container alone."""

    name = "workflow_orchestrator"

    def __init__(self, env: Mapping[str, str] | None = None, sealing: Sealing | None = None) -> None:
        super().__init__(env)
        self._mapper.sealing = sealing
        self._sealing = sealing
        self._keys_since = 0 if sealing is None else self.ours.switches

    @property
    def epoch(self) -> int:
        """Who remembers what events say forgets it when this has changed: a key was destroyed, or the log is
        another one than it was."""
        erasures = 0 if self._sealing is None else self._sealing.keyring.erasures
        return erasures + self.ours.switches

    def tag(self, content: bytes) -> bytes:
        """A digest of what is kept beside the log; where there is a master key, nobody makes it without."""
        return sha256(content).digest() if self._sealing is None else self._sealing.keyring.tag(content)

    def look_for_erasures(self) -> None:
        """See now and then whether a key was destroyed, so that :attr:`epoch` tells of it; and trust no key
        that a log may have lost which is another one now: nobody could read what is sealed with it.

        Raises:
            StoreUnavailable: that cannot be told.
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
        """What was found that this release cannot read."""
        return self._mapper.too_new

    @property
    def ours(self) -> LogRecorder:
        """The recorder."""
        return cast(LogRecorder, self.recorder)

    def construct_env(self, name: str, env: Mapping[str, str] | None = None) -> Environment:
        """The given settings and nothing of the process's environment."""
        return Environment(name, {"ORIGINATOR_ID_TYPE": "text", **(env or {})})

    def construct_mapper(self) -> EventMapper:
        """Our mapper in place of the stock one."""
        return self.factory.mapper(transcoder=self.construct_transcoder(), mapper_class=EventMapper)  # type: ignore[return-value]

    def recorded(self, stored: StoredEvent) -> Recorded:
        """A stored event as it was recorded."""
        return self.all_recorded([stored])[0]

    def all_recorded(self, stored: Sequence[StoredEvent]) -> tuple[Recorded, ...]:
        """Stored events as they were recorded."""
        recorded = self._mapper.to_domain_events(stored)
        if self._sealing is not None and any(isinstance(each.event, ErasureCarriedOut) for each in recorded):
            self._sealing.keyring.hurry()
        return recorded

    def see_epoch(self) -> int:
        """:attr:`epoch`, once it was looked up whether anything was erased.

        Raises:
            StoreUnavailable: that cannot be told.
        """
        if self._sealing is not None:
            self._sealing.keyring.hurry()
            self._sealing.keyring.look()
        return self.epoch

    def sealed_values(self, stored: StoredEvent) -> list[Any]:
        """The values that are sealed in an event, as far as there are keys to them."""
        return self._mapper.sealed_values(stored)

    def recorded_with_keys(self, stored: StoredEvent) -> tuple[Recorded, list[bytes | None]]:
        """An event, and the keys of the values that are sealed in it."""
        return self._mapper.read_with_keys(stored)

    def stored(self, recorded: Recorded) -> StoredEvent:
        """An event as it is to be stored."""
        return self.mapper.to_stored_event(recorded)  # type: ignore[arg-type]

    def stored_between(self, stream: str, after: int, until: int) -> Sequence[StoredEvent]:
        """The events of a stream after a version, and up to another, as they are stored."""
        return self.recorder.select_events(stream, gt=after, lte=until)

    def in_parts(self, streams: Mapping[str, int]) -> Iterator[Sequence[StoredEvent]]:
        """The events of each stream after a version, a full batch at a time, in the order of the streams and
        of their versions."""
        return streams_in_parts(streams, self.ours.select_streams)

    def compare(self, positions: Mapping[str, str]) -> Compared:
        """Whether the position in each of some partitions is of this log."""
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
        """The position after the last event of a partition."""
        newest = self.ours.newest(partition)
        return BEGINNING if newest is None else newest.position

    def head_for(self, stream: str) -> str:
        """The position after the last event of the partition in which a stream is."""
        return self.head(self.ours.partition_of(stream))


def place_of(found: Notification) -> Place:
    """The place of an event as the library gives it."""
    return Place(found.id, str(found.originator_id), found.originator_version)


def position_of(id: int, stream: str, version: int) -> str:
    """A position names the event that it stands behind, so that one of another log or partition is recognised
    as such. Whoever keeps one knows which partition it is of."""
    digits = event_id(stream, version).replace("-", "")
    return f"{_PREFIX}-{id}-{digits[:_IDENTITY_DIGITS]}"


def is_position(text: str) -> bool:
    """Whether a text has the form of a position; of which log, only that log knows."""
    return _POSITION.fullmatch(text) is not None


def number_of(position: str | None) -> int:
    """The id of the event that a position stands behind; 0 at the beginning, where there may be none."""
    return 0 if position is None else int(position.split("-")[1])


@contextmanager
def failures_translated() -> Iterator[None]:
    """The library's errors as ours, as far as they say that the store is away."""
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
