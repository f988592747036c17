"""The library's recorder, with an order per tenant. An append is one batch in a partition of the tenant.

A batch replaces the document that ends the tenant's order, under its etag, and creates the events. So numbers
have no gaps and come in the order of the commits, tenants never wait for each other, and a version that
exists already fails the batch. A writer that only loses the race for the order takes the next numbers; one
that loses the race for a version is told so. A batch whose answer was lost prevents its own repetition, which
looks like such a lost race: the caller then finds its command's id in the stream. An event is stored only
after the one before it in its stream, so a log that has lost commits in a failover gets no gaps.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from itertools import chain, islice
from typing import Any, TypeVar

from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    NotSupportedError,
    StoredEvent,
)

from application.audit.chain import tenant_of
from application.event_log import Append, Fill, Ids, Place
from application.log_batches import BATCH_BYTES, BATCH_EVENTS, bytes_of, is_full_of, size_of, taken
from domain.errors import StoreUnavailable, TooMuchAtOnce
from infrastructure.cosmos.appends import Appends
from infrastructure.cosmos.ends import partition_name
from infrastructure.cosmos.log_container import LogContainer
from infrastructure.cosmos.log_documents import (
    TENANTS,
    bytes_of_state,
    is_event,
    notification,
)
from infrastructure.cosmos.observing import Observe
from infrastructure.cosmos.streams import Streams

T = TypeVar("T")
R = TypeVar("R")

_SIDE_BY_SIDE = 8

_LOOK_SECONDS = 8.0
"""Longer than a partition that refuses is retried, and shorter than callers wait: see ``EventStore``."""


class CosmosLogRecorder(ApplicationRecorder):
    """The log in a container of Cosmos DB. A partition of the log is a tenant."""

    silent_seconds = 600.0
    """Followers are told of others' appends: see ``wakeups.py``."""

    reads_at_once = 8
    """A read mostly waits for the account. One thread for all tenants could do a hundred reads a second."""

    switches = 0
    """Always 0, because an account does not tell of a failover."""

    def __init__(self, container: LogContainer) -> None:
        self._container = container
        self._streams = Streams(container)
        self._threads = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="cosmos log")
        self._tenants: dict[str, None] = {}
        self._appends = Appends(container)
        self.look_for_tenants()

    def tell(self, observe: Observe) -> None:
        """Report each call to the container from now on."""
        self._container.tell(observe)

    def look_for_tenants(self) -> None:
        """Learn of the tenants that other processes have noted."""
        notes = self._container.query(TENANTS, "FROM c", {})
        self._tenants.update(dict.fromkeys(sorted(note["tenant"] for note in notes)))

    def know(self, tenants: Iterable[str]) -> None:
        """Note tenants to which others have appended."""
        self._tenants |= dict.fromkeys(tenants)

    def partitions(self) -> Sequence[str]:
        """Return the known tenants."""
        return tuple(self._tenants)

    def partition_of(self, stream: str) -> str:
        """Return the stream's tenant."""
        return tenant_of(stream)

    def insert_events(self, stored_events: Append, **keywords: Any) -> Sequence[int] | None:
        """Append events of one tenant, all or none. Return the numbers that they got.

        Raises:
            IntegrityError: another writer was first, or the answer to the append before was lost.
            StoreUnavailable: it is not known whether the events are stored, or the tenant's log is too busy.
            TooMuchAtOnce: the events do not fit in one batch; nothing was written.
        """
        if keywords:
            raise NotSupportedError(f"this recorder does not keep {', '.join(keywords)}")
        return self._append(stored_events) if stored_events else None

    def append_together(
        self, appends: Sequence[Append], switches: int | None = None
    ) -> Sequence[Ids | Exception]:
        """Append in one batch per tenant, if they fit in it, or else in one batch per append. Several tenants
        are written concurrently."""
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
        """Return events of one stream."""
        segments = self._container.segments_of(tenant_of(str(originator_id)))
        return self._streams.all_of(segments, str(originator_id), gt, lte, desc=desc, limit=limit)

    def select_streams(self, streams: Mapping[str, int], limit: int = BATCH_EVENTS) -> Sequence[StoredEvent]:
        """Return the next events of each stream after a version, up to a full batch. There is one query per
        stream; they run concurrently, and none is begun once those before it fill the batch."""
        tenants = list(dict.fromkeys(map(tenant_of, streams)))
        segments = dict(zip(tenants, self._side_by_side(self._container.segments_of, tenants), strict=True))

        def look(wanted: tuple[str, int]) -> Sequence[StoredEvent]:
            return self._streams.next_of(segments[tenant_of(wanted[0])], *wanted, limit)

        with closing(self._as_they_come(look, list(streams.items()))) as looks:
            return taken(islice(chain.from_iterable(looks), limit), bytes_of, BATCH_BYTES)

    def select_before(self, stream: str, before: int | None, limit: int) -> Sequence[StoredEvent]:
        """Return the events of a stream before a version, or its last ones, the newest first, up to a full
        page."""
        return self._streams.last_of(self._container.segments_of(tenant_of(stream)), stream, before, limit)

    def select_after(self, partition: str, after: int, limit: int) -> Sequence[Notification]:
        """Return the next events of a tenant after a number, in its order, up to a full batch."""
        found: list[Notification] = []
        while not is_full_of(found, limit):
            segment = self._holding(partition, after)
            matching = "FROM c WHERE c.position > @after ORDER BY c.position"
            rows = self._container.query(
                partition_name(partition, segment),
                matching,
                {"@after": after},
                limit - len(found),
                size=bytes_of_state,
                room=BATCH_BYTES - size_of(found),
            )
            found += [notification(row) for row in rows if is_event(row)]
            if found:
                after = found[-1].id
                self._container.segments.see(partition, after)
            if not rows or is_event(rows[-1]):
                break
            after = rows[-1]["position"] - 1
            if not self._goes_on_behind(partition, segment):
                break
        return found

    def newest(self, partition: str) -> Place | None:
        """Return the last event of a tenant."""
        return self._container.end(partition).place

    def at_each(self, ids: Mapping[str, int]) -> Mapping[str, Place | StoreUnavailable | None]:
        """Return the event at a number in each of some tenants' orders. They are read concurrently. A tenant
        whose log refuses, or does not answer in time, delays nobody who asks for the others."""
        looks = {partition: self._threads.submit(self._at, partition, id) for partition, id in ids.items()}
        answered, _ = wait(looks.values(), _LOOK_SECONDS)
        told: dict[str, Place | StoreUnavailable | None] = {}
        for partition, look in looks.items():
            try:
                if look not in answered:
                    look.cancel()
                    raise StoreUnavailable(f"the log of {partition} gave no answer in time")
                told[partition] = look.result()
            except StoreUnavailable as error:
                told[partition] = error
        return told

    def _at(self, partition: str, id: int) -> Place | None:
        """Return the event at a number in a tenant's order. That there is none must be established by a
        write: the caller would begin again, and a replica may lag behind the process that has appended the
        event."""
        matching = "FROM c WHERE c.position = @position"
        caught_up: int | None = None
        while True:
            holding = self._holding(partition, id - 1)
            segment = partition_name(partition, holding)
            found = self._container.query(segment, matching, {"@position": id}, 1)
            if found and is_event(found[0]):
                return Place(id, found[0]["stream"], found[0]["version"])
            if found and self._goes_on_behind(partition, holding):
                continue
            if holding == caught_up:
                return None
            self._container.catch_up(segment)
            caught_up = holding

    def catch_up(self, partition: str) -> None:
        """Make each later read of a tenant's log find everything that was committed until now. This writes in
        the last segment, and in those that it then finds behind it."""
        caught_up: int | None = None
        while (last := self._container.end(partition).segment) != caught_up:
            self._container.catch_up(partition_name(partition, last))
            caught_up = last

    def fullest(self) -> Fill | None:
        """Return the fullest partition of those that were read. Each is read once a minute
        (``wakeups.py``)."""
        return self._container.fills.fullest()

    def select_notifications(self, *arguments: Any, **keywords: Any) -> Sequence[Notification]:
        """Refuse: only partitions have an order, see :meth:`select_after`."""
        raise NotSupportedError("there is no order over all tenants")

    def max_notification_id(self) -> int | None:
        """Refuse: only partitions have an order, see :meth:`newest`."""
        raise NotSupportedError("there is no order over all tenants")

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Any:
        """Refuse: followers are woken in another way."""
        raise NotSupportedError("there is nothing to subscribe to")

    def close(self) -> None:
        """Close all connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._container.close()

    def _append_of_one_tenant(self, appends: Sequence[tuple[int, Append]]) -> Mapping[int, Ids | Exception]:
        if len(appends) > 1:
            try:
                ids = iter(self._append([event for _, events in appends for event in events]))
            except (IntegrityError, TooMuchAtOnce):
                pass  # one of them is in the way of the others, or they do not go into one batch
            except StoreUnavailable as error:
                return {number: error for number, _ in appends}
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
        self.know([tenant_of(str(events[0].originator_id))])
        return self._appends.append(events)

    def _holding(self, tenant: str, after: int) -> int:
        """Return the segment that holds the event after a number, or will hold it."""
        segment = self._container.segments.holding(tenant, after)
        if segment is None:
            self._container.end(tenant)
            segment = self._container.segments.holding(tenant, after)
        return self._container.segments.last(tenant) if segment is None else segment

    def _goes_on_behind(self, tenant: str, segment: int) -> bool:
        """Return whether another segment follows one in which a signpost was found."""
        if segment == self._container.segments.last(tenant):
            self._container.end(tenant)
        return segment < self._container.segments.last(tenant)

    def _side_by_side(self, work: Callable[[T], R], given: Sequence[T]) -> list[R]:
        return list(self._as_they_come(work, given))

    def _as_they_come(self, work: Callable[[T], R], given: Sequence[T]) -> Generator[R, None, None]:
        if len(given) == 1:
            yield work(given[0])
        else:
            yield from self._threads.map(work, given)
