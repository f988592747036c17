"""Appends to a tenant's log: each is one transactional batch in the last segment.

A batch sees one segment (``segments.py``). What was closed does not change: so what an append needs to know
of it is looked at before, and only where the event before is not in the last segment, or there can be none.
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
"""How long an append goes on to lose races: other tenants' commands of the same group wait for it."""

_LONGEST_PAUSE_SECONDS = 0.4
_LONGER_EACH_TIME_SECONDS = 0.01


class Appends:
    """Any thread may use it. The end of a tenant's order is remembered from one append to the next."""

    def __init__(self, container: LogContainer) -> None:
        self._container = container
        self._ends: dict[str, End] = {}

    def append(self, events: Append) -> Sequence[int]:
        """Append events of one tenant, all or none; the numbers they got.

        Raises:
            IntegrityError: another writer was first, or the answer to the append before was lost.
            StoreUnavailable: it is not known whether they are stored, or others appended to the tenant's log
                first, again and again.
            TooMuchAtOnce: they are more than one batch takes; nothing was written.
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
        """The present end of a tenant's order; a tenant without one is made known first, so that nobody who
        appends is a tenant that no follower knows."""
        end = self._container.end(tenant)
        if not end.head.number:
            self._container.put(tenant_note(tenant))
        return end

    def _begun_before(self, end: End, firsts: Mapping[str, StoredEvent]) -> frozenset[str]:
        """The streams whose last event is in a closed segment.

        Raises:
            IntegrityError: one of them has gone on there.
        """
        found = {
            stream: event
            for stream, event in firsts.items()
            if not _begins(event) and is_event(self._container.find_closed(end, _id_before(event)) or {})
        }
        self._refuse_what_was_closed(end, found.values())
        return frozenset(found)

    def _refuse_what_was_closed(self, end: End, events: Iterable[StoredEvent]) -> None:
        """See that none of these versions is in a closed segment.

        Raises:
            IntegrityError: one is.
        """
        if any(self._container.find_closed(end, _id(event)) is not None for event in events):
            raise IntegrityError("another writer was first, in a segment that was closed")

    def _is_taken(self, end: End, firsts: Iterable[StoredEvent]) -> bool:
        """Whether one of the versions is in the segment; those of a stream follow one on the other. Whether
        one is in another segment, the next try finds out."""
        return any(self._container.read(end.partition, _id(first)) is not None for first in firsts)


class _Races:
    """Those of one append for the end of a tenant's order."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant
        self._lost = 0
        self._until = monotonic() + _RACING_SECONDS

    def lose(self, error: Lost) -> None:
        """Another writer was first: wait, for longer each time and not all for the same time.

        Raises:
            StoreUnavailable: it has gone on for too long.
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
    """The id of the event before."""
    return event_id(str(event.originator_id), event.originator_version - 1)


def _refuse_what_no_batch_takes(after: Sequence[str], items: Sequence[Mapping[str, Any]]) -> None:
    """One operation ends the order, one a stream looks for the event before, the others store."""
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
