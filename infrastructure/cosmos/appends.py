"""Appends to a tenant's log. Each append is one transactional batch in the last segment.

A batch sees only one segment (``segments.py``). Closed segments do not change, so an append looks at them
before its batch, and only if the preceding event is not in the last segment or if the stream begins.
"""

from collections.abc import Iterable, Mapping, Sequence
from random import uniform
from time import monotonic, sleep
from typing import Any

from eventsourcing.persistence import IntegrityError, StoredEvent

from application.audit.chain import tenant_of
from application.event_log import Append
from domain.errors import StoreUnavailable, TooMuchAtOnce
from domain.event import event_id
from infrastructure.cosmos.ends import End, end_of
from infrastructure.cosmos.log_container import LogContainer, Lost
from infrastructure.cosmos.log_documents import following, is_event, tenant_note
from infrastructure.cosmos.transactions import MOST_BYTES, MOST_OPERATIONS, size_of

_FEWEST_RACES = 10
_RACING_SECONDS = 2.0
"""How long an append keeps trying while it loses races. Other tenants' commands of the same group wait
meanwhile."""

_LONGEST_PAUSE_SECONDS = 0.4
_LONGER_EACH_TIME_SECONDS = 0.01


class Appends:
    """Any thread may use this. It remembers the end of a tenant's order from one append to the next."""

    def __init__(self, container: LogContainer) -> None:
        self._container = container
        self._ends: dict[str, End] = {}

    def append(self, events: Append) -> Sequence[int]:
        """Append events of one tenant, all or none. Return the numbers that they got.

        Raises:
            IntegrityError: another writer was first, or the answer to the append before was lost.
            StoreUnavailable: it is not known whether the events are stored, or others appended to the
                tenant's log first, again and again.
            TooMuchAtOnce: the events do not fit in one batch; nothing was written.
        """
        tenant = tenant_of(str(events[0].originator_id))
        firsts = {str(event.originator_id): event for event in reversed(events)}
        end = self._ends.pop(tenant, None) or self._known_end(tenant)
        segment, begun_before = 0, frozenset[str]()
        races = _Races(tenant)
        while True:
            end = self._container.with_room(end)
            if end.segment > segment:
                segment, begun_before = end.segment, frozenset()
                self._refuse_what_was_closed(end, filter(_begins, firsts.values()))
            after = [
                _id_before(event)
                for stream, event in firsts.items()
                if not _begins(event) and stream not in begun_before
            ]
            order, items = following(end, events)
            _refuse_what_no_batch_takes(after, items)
            try:
                etag = self._container.store(end.partition, order, end.etag, items, after=after)
            except Lost as error:
                if error.misses_what_it_follows:
                    found = self._begun_before(end, firsts)
                    if not found - begun_before:
                        raise IntegrityError(f"another writer was first: {error}") from error
                    begun_before |= found
                elif self._is_taken(end, firsts.values()):
                    raise IntegrityError(f"another writer was first: {error}") from error
                else:
                    races.lose(error)
                end = self._known_end(tenant)
                continue
            self._ends[tenant] = newest = end_of(tenant, order | {"_etag": etag}, end)
            self._container.note_end(newest)
            return [item["position"] for item in items]

    def _known_end(self, tenant: str) -> End:
        """Return the present end of a tenant's order. A new tenant is noted first, so that followers know
        every tenant that has events."""
        end = self._container.end(tenant)
        if not end.head.number:
            self._container.put(tenant_note(tenant))
        return end

    def _begun_before(self, end: End, firsts: Mapping[str, StoredEvent]) -> frozenset[str]:
        """Return the streams whose last event is in a closed segment.

        Raises:
            IntegrityError: one of them has continued there.
        """
        found = {
            stream: event
            for stream, event in firsts.items()
            if not _begins(event) and is_event(self._container.find_closed(end, _id_before(event)) or {})
        }
        self._refuse_what_was_closed(end, found.values())
        return frozenset(found)

    def _refuse_what_was_closed(self, end: End, events: Iterable[StoredEvent]) -> None:
        """Check that none of these versions is in a closed segment.

        Raises:
            IntegrityError: one is.
        """
        if any(self._container.find_closed(end, _id(event)) is not None for event in events):
            raise IntegrityError("another writer was first, in a segment that was closed")

    def _is_taken(self, end: End, firsts: Iterable[StoredEvent]) -> bool:
        """Return whether one of the versions is in this segment. The first version of each stream is enough,
        since the others follow it. The next try finds out whether one is in another segment."""
        return any(self._container.read(end.partition, _id(first)) is not None for first in firsts)


class _Races:
    """The races of one append for the end of a tenant's order."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._lost = 0
        self._until = monotonic() + _RACING_SECONDS

    def lose(self, error: Lost) -> None:
        """Note that another writer was first, and wait: longer each time, and for a random time.

        Raises:
            StoreUnavailable: the append has lost races for too long.
        """
        self._lost += 1
        if self._lost >= _FEWEST_RACES and monotonic() >= self._until:
            raise StoreUnavailable(
                f"the order of {self._tenant} is too busy: {self._lost} appends lost the race"
            ) from error
        sleep(uniform(0, min(_LONGEST_PAUSE_SECONDS, _LONGER_EACH_TIME_SECONDS * self._lost)))


def _begins(event: StoredEvent) -> bool:
    return event.originator_version <= 1


def _id(event: StoredEvent) -> str:
    return event_id(str(event.originator_id), event.originator_version)


def _id_before(event: StoredEvent) -> str:
    """Return the id of the preceding event."""
    return event_id(str(event.originator_id), event.originator_version - 1)


def _refuse_what_no_batch_takes(after: Sequence[str], items: Sequence[Mapping[str, Any]]) -> None:
    """Refuse events that do not fit in a batch. One operation ends the order, one per stream checks the
    preceding event, and one stores each event."""
    operations = 1 + len(after) + len(items)
    if operations > MOST_OPERATIONS:
        raise TooMuchAtOnce(
            f"{len(items)} events at once are more than one transaction of Cosmos DB takes, which has"
            f" {MOST_OPERATIONS} operations"
        )
    size = size_of(items)
    if size > MOST_BYTES:
        raise TooMuchAtOnce(
            f"{size:,} bytes of events at once are more than one transaction of Cosmos DB takes,"
            f" which is {MOST_BYTES:,}"
        )
