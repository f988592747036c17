"""The recorder: an order a tenant, and an append is one transactional batch in a partition of the tenant's.

A batch replaces the document that ends the tenant's order under its etag, and creates the events. So numbers
have no gaps and come in the order of the commits, tenants never wait for each other, and a version that is
there already fails the batch. Who loses the race for the order alone takes the next numbers; who loses the
one for a version is told so. A batch whose answer was lost is in the way of its own repetition, and shows as
such a loss: the caller finds its command's id in the stream. An event is stored only after the one before it
in its stream, so a log that has lost commits in a failover gets no gaps.
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
"""Longer than a partition is asked that refuses, and less than callers wait: see ``EventStore``."""


class CosmosLogRecorder(ApplicationRecorder):
    """The log in a container of Cosmos DB; a partition of it is a tenant."""

    silent_seconds = 600.0
    """Others' appends are told: see ``wakeups.py``."""

    reads_at_once = 8
    """A reading waits for the account most of its time; one thread for all tenants could do a hundred a
    second."""

    switches = 0
    """None that would show: an account tells nothing of a failover."""

    def __init__(self, container: LogContainer) -> None:
        self._container = container
        self._streams = Streams(container)
        self._threads = ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="cosmos log")
        self._tenants: dict[str, None] = {}
        self._appends = Appends(container)
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
        self._tenants |= dict.fromkeys(tenants)

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
            StoreUnavailable: it is not known whether they are stored, or the tenant's log is too busy.
            TooMuchAtOnce: they are more than one batch takes; nothing was written.
        """
        if keywords:
            raise NotSupportedError(f"this recorder does not keep {', '.join(keywords)}")
        return self._append(stored_events) if stored_events else None

    def append_together(
        self, appends: Sequence[Append], switches: int | None = None
    ) -> Sequence[Ids | Exception]:
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
        segments = self._container.segments_of(tenant_of(str(originator_id)))
        return self._streams.all_of(segments, str(originator_id), gt, lte, desc=desc, limit=limit)

    def select_streams(self, streams: Mapping[str, int], limit: int = BATCH_EVENTS) -> Sequence[StoredEvent]:
        """The next events of each stream after a version, up to a full batch; a query each, side by side, and
        none that has not begun once those before it fill the batch."""
        tenants = list(dict.fromkeys(map(tenant_of, streams)))
        segments = dict(zip(tenants, self._side_by_side(self._container.segments_of, tenants), strict=True))

        def look(wanted: tuple[str, int]) -> Sequence[StoredEvent]:
            return self._streams.next_of(segments[tenant_of(wanted[0])], *wanted, limit)

        with closing(self._as_they_come(look, list(streams.items()))) as looks:
            return taken(islice(chain.from_iterable(looks), limit), bytes_of, BATCH_BYTES)

    def select_before(self, stream: str, before: int | None, limit: int) -> Sequence[StoredEvent]:
        """The events of a stream before a version, or its last ones, the newest first, up to a full page."""
        return self._streams.last_of(self._container.segments_of(tenant_of(stream)), stream, before, limit)

    def select_after(self, partition: str, after: int, limit: int) -> Sequence[Notification]:
        """The next events of a tenant after a number, in its order, up to a full batch."""
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
        """The last event of a tenant."""
        return self._container.end(partition).place

    def at_each(self, ids: Mapping[str, int]) -> Mapping[str, Place | StoreUnavailable | None]:
        """The event that has a number in each of some tenants' orders; they are asked side by side. One that
        refuses, or does not answer in time, keeps nobody waiting who asks for the others."""
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
        """The event with a number in a tenant's order. That there is none must be known by a write: whoever
        is told so begins anew, and a replica may lag behind the process that has appended it."""
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
        """Have each later look at a tenant's log find all that was committed there until now; by writes, in
        the last segment and in those that are found behind it then."""
        caught_up: int | None = None
        while (last := self._container.end(partition).segment) != caught_up:
            self._container.catch_up(partition_name(partition, last))
            caught_up = last

    def fullest(self) -> Fill | None:
        """The fullest partition of those that were looked at: each is, once a minute (``wakeups.py``)."""
        return self._container.fills.fullest()

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
        """The segment in which the event after a number is, or will be."""
        segment = self._container.segments.holding(tenant, after)
        if segment is None:
            self._container.end(tenant)
            segment = self._container.segments.holding(tenant, after)
        return self._container.segments.last(tenant) if segment is None else segment

    def _goes_on_behind(self, tenant: str, segment: int) -> bool:
        """Whether there is another segment behind one in which a signpost was found."""
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
