"""The recorder: an order a tenant, and an append is one transactional batch in the tenant's partition.

A batch replaces the document that ends the tenant's order under its etag, and creates the events. So numbers
have no gaps and come in the order of the commits, tenants never wait for each other, and a version that is
there already fails the batch. Who loses the race for the order alone takes the next numbers; who loses the
one for a version is told so. A batch whose answer was lost is in the way of its own repetition, and shows as
such a loss: the caller finds its command's id in the stream. An event is stored only after the one before it
in its stream, so a log that has lost commits in a failover gets no gaps.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any, TypeVar

from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    NotSupportedError,
    OperationalError,
    StoredEvent,
)

from application.audit.chain import tenant_of
from application.event_log import Append, Ids, Place
from domain.errors import StoreUnavailable, TooMuchAtOnce
from domain.event import event_id
from infrastructure.cosmos.log_container import LogContainer, Lost
from infrastructure.cosmos.log_documents import (
    ORDER_ID,
    TENANTS,
    End,
    end_of,
    following,
    notification,
    stored_event,
    tenant_note,
)
from infrastructure.cosmos.observing import Observe

T = TypeVar("T")
R = TypeVar("R")

MOST_OPERATIONS = 100
"""Of a transactional batch: one ends the order, one a stream looks for the event before, the others store."""

MOST_BYTES = 1_900_000
"""A batch takes 2 MB as it is sent, with what is said about each operation."""

_SIDE_BY_SIDE = 8
_MOST_RACES = 50
_LONGEST_PAUSE_SECONDS = 0.2


class CosmosLogRecorder(ApplicationRecorder):
    """The log in a container of Cosmos DB; a partition of it is a tenant."""

    silent_seconds = 600.0
    """Others' appends are told: see ``wakeups.py``."""

    def __init__(self, container: LogContainer) -> None:
        self._container = container
        self._threads = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="cosmos log")
        self._tenants: dict[str, None] = {}
        self._ends: dict[str, End] = {}
        self.look_for_tenants()

    def tell(self, observe: Observe) -> None:
        """Tell of each call to the container from now on."""
        self._container.tell(observe)

    def look_for_tenants(self) -> None:
        """Learn of the tenants that other processes have made known."""
        notes = self._container.query(TENANTS, "FROM c", {})
        self._tenants.update(dict.fromkeys(sorted(note["tenant"] for note in notes)))

    def know(self, tenants: Iterable[str]) -> None:
        """Others have appended to these."""
        self._tenants.update(dict.fromkeys(tenants))

    def partitions(self) -> Sequence[str]:
        """The tenants that are known."""
        return tuple(self._tenants)

    def partition_of(self, stream: str) -> str:
        """The stream's tenant."""
        return tenant_of(stream)

    def insert_events(self, stored_events: Append, **keywords: Any) -> Sequence[int] | None:
        """Append events, of one tenant, all or none; the numbers they got.

        Raises:
            IntegrityError: another writer was first, or the answer to the append before was lost.
            TooMuchAtOnce: they are more than one batch takes; nothing was written.
        """
        if keywords:
            raise NotSupportedError(f"this recorder does not keep {', '.join(keywords)}")
        return self._append(stored_events) if stored_events else None

    def append_together(self, appends: Sequence[Append]) -> Sequence[Ids | Exception]:
        """A batch a tenant where it takes them all, else one an append; those of several side by side."""
        tenants: dict[str, list[int]] = {}
        for number, events in enumerate(appends):
            tenants.setdefault(tenant_of(str(events[0].originator_id)), []).append(number)
        answers: dict[int, Ids | Exception] = {}
        work = [[(number, appends[number]) for number in numbers] for numbers in tenants.values()]
        for done in self._side_by_side(self._append_of_one_tenant, work):
            answers.update(done)
        return [answers[number] for number in range(len(appends))]

    def select_events(
        self,
        originator_id: object,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Events of one stream."""
        conditions, parameters = ["c.stream = @stream"], {"@stream": originator_id}
        for name, sign, bound in (("@gt", ">", gt), ("@lte", "<=", lte)):
            if bound is not None:
                conditions.append(f"c.version {sign} {name}")
                parameters[name] = bound
        way = "DESC" if desc else "ASC"
        matching = f"FROM c WHERE {' AND '.join(conditions)} ORDER BY c.stream {way}, c.version {way}"
        found = self._container.query(tenant_of(str(originator_id)), matching, parameters, limit)
        return [stored_event(item) for item in found]

    def select_streams(self, streams: Mapping[str, int]) -> Sequence[StoredEvent]:
        """The events of each stream after a version; a query each, side by side."""
        found = self._side_by_side(
            lambda wanted: self.select_events(wanted[0], gt=wanted[1]), list(streams.items())
        )
        return [event for events in found for event in events]

    def select_after(self, partition: str, after: int, limit: int) -> Sequence[Notification]:
        """The next events of a tenant after a number, in its order."""
        matching = "FROM c WHERE c.position > @after ORDER BY c.position"
        found = self._container.query(partition, matching, {"@after": after}, limit)
        return [notification(item) for item in found]

    def newest(self, partition: str) -> Place | None:
        """The last event of a tenant: one read of one small document."""
        return self._end(partition).place

    def at(self, partition: str, id: int) -> Place | None:
        """The event that has a number in a tenant's order."""
        matching = "FROM c WHERE c.position = @position"
        found = self._container.query(partition, matching, {"@position": id}, 1)
        return Place(id, found[0]["stream"], found[0]["version"]) if found else None

    def select_notifications(self, *arguments: Any, **keywords: Any) -> Sequence[Notification]:
        """There is an order in each partition: see :meth:`select_after`."""
        raise NotSupportedError("there is no order over all tenants")

    def max_notification_id(self) -> int | None:
        """There is an order in each partition: see :meth:`newest`."""
        raise NotSupportedError("there is no order over all tenants")

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Any:
        """Followers are woken otherwise."""
        raise NotSupportedError("there is nothing to subscribe to")

    def close(self) -> None:
        """Give every connection back."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._container.close()

    def _append_of_one_tenant(self, appends: Sequence[tuple[int, Append]]) -> Mapping[int, Ids | Exception]:
        if len(appends) > 1:
            try:
                ids = iter(self._append([event for _, events in appends for event in events]))
            except (IntegrityError, TooMuchAtOnce):
                pass  # one of them is in the way of the others, or they do not go into one batch
            else:
                return {number: [next(ids) for _ in events] for number, events in appends}
        answers: dict[int, Ids | Exception] = {}
        for number, events in appends:
            try:
                answers[number] = self._append(events)
            except (IntegrityError, TooMuchAtOnce, StoreUnavailable) as error:
                answers[number] = error
        return answers

    def _append(self, events: Append) -> Sequence[int]:
        tenant = tenant_of(str(events[0].originator_id))
        firsts = {str(event.originator_id): event for event in reversed(events)}
        after = [str(event_id(*before)) for before in map(_before, firsts.values()) if before[1] > 0]
        end = self._ends.pop(tenant, None) or self._known_end(tenant)
        for race in range(_MOST_RACES):
            order, items = following(end, events)
            _refuse_what_no_batch_takes(after, items)
            try:
                etag = self._container.store(tenant, order, end.etag, items, after=after)
            except Lost as error:
                if error.misses_what_it_follows or self._is_taken(tenant, firsts):
                    raise IntegrityError(f"another writer was first: {error}") from error
                sleep(min(_LONGEST_PAUSE_SECONDS, 0.005 * race))
                end = self._known_end(tenant)
                continue
            self._ends[tenant] = end_of(tenant, order | {"_etag": etag})
            return [item["position"] for item in items]
        raise OperationalError(f"the order of {tenant} is too busy: {_MOST_RACES} appends lost the race")

    def _known_end(self, tenant: str) -> End:
        """The present end of a tenant's order; a tenant without one is made known first, so that nobody who
        appends is a tenant that no follower knows."""
        end = self._end(tenant)
        if end.etag is None:
            self._container.put(tenant_note(tenant))
        self._tenants.setdefault(tenant, None)
        return end

    def _end(self, tenant: str) -> End:
        return end_of(tenant, self._container.read(tenant, ORDER_ID))

    def _is_taken(self, tenant: str, firsts: Mapping[str, StoredEvent]) -> bool:
        """Whether one of the versions is there; those of a stream follow one on the other."""
        return any(
            self._container.read(tenant, str(event_id(stream, first.originator_version))) is not None
            for stream, first in firsts.items()
        )

    def _side_by_side(self, work: Callable[[T], R], given: Sequence[T]) -> list[R]:
        if len(given) == 1:
            return [work(given[0])]
        return list(self._threads.map(work, given))


def _before(event: StoredEvent) -> tuple[str, int]:
    return str(event.originator_id), event.originator_version - 1


def _refuse_what_no_batch_takes(after: Sequence[str], items: Sequence[Mapping[str, Any]]) -> None:
    operations = 1 + len(after) + len(items)
    if operations > MOST_OPERATIONS:
        raise TooMuchAtOnce(
            f"{len(items)} events at once are more than one transaction of Cosmos DB takes, which has"
            f" {MOST_OPERATIONS} operations"
        )
    size = len(json.dumps(items))
    if size > MOST_BYTES:
        raise TooMuchAtOnce(
            f"{size:,} bytes of events at once are more than one transaction of Cosmos DB takes,"
            f" which is {MOST_BYTES:,}"
        )
