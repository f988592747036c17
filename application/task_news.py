"""Tells waiting claims of the next task that can be claimed, by the log itself.

While somebody waits, this process reads the log from its present end, in the partitions of those who wait. A
task that comes into a queue, or back into it, is reported to one claim that waits there, the one that has
waited longest, and not to all: the others would find nothing. So nobody polls a store, and a waiting claim
costs a future and no thread or connection.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import TypeVar

from anyio import move_on_after

from application.event_store import EventStore
from application.shared_reads import SharedReads
from application.supervised import Supervised
from application.tail import Tail
from domain.event import Recorded
from domain.interest import Interest
from domain.task import TaskLeaseExpired, TaskOffered, TaskReleased

_POLL_SECONDS = 1.0
_BATCH = 500

T = TypeVar("T")

Candidate = tuple[str, int]
"""A task's id, and the version of it that may be claimed."""

_Queue = tuple[str, str]
"""Tenant and name."""

_Available = TaskOffered | TaskReleased | TaskLeaseExpired


class Ear:
    """A claim that waits for up to ``most`` tasks of a tenant's queue, from its beginning to its end.

    Tasks that were reported to it and that it has not taken are reported to the next claim when it leaves.
    """

    def __init__(self, news: "TaskNews", queue: _Queue, most: int) -> None:
        self.queue = queue
        self._news = news
        self._most = most
        self._told: deque[Candidate] = deque()
        self._woken = asyncio.Event()
        self._has_left = False

    def __enter__(self) -> "Ear":
        self._news.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        self._news.remove(self, self._told)

    @property
    def has_left(self) -> bool:
        """Whether nobody waits any more, because the caller is gone, or the service stops."""
        return self._has_left or self._news.is_closed

    @property
    def wants_more(self) -> bool:
        """Whether it can use one more task."""
        return not self.has_left and len(self._told) < self._most

    def tell(self, candidate: Candidate) -> None:
        """Report a task that can be claimed."""
        self._told.append(candidate)
        self._woken.set()

    def leave(self) -> None:
        """Wait no more."""
        self._has_left = True
        self._woken.set()

    def wake(self) -> None:
        """Look at what has changed."""
        self._woken.set()

    async def next(self, seconds: float) -> list[Candidate]:
        """Return the tasks that were reported, once there are some; none after ``seconds``, or when it has
        left."""
        with move_on_after(seconds):
            while not self._told and not self.has_left:
                self._woken.clear()
                await self._woken.wait()
        told = list(self._told)
        self._told.clear()
        return told


class TaskNews:
    """Reports to those who wait in this process. :meth:`run` reads the log while there are any."""

    def __init__(self, store: EventStore, reads: SharedReads) -> None:
        self._store = store
        self._reads = reads
        self._alarm = reads.subscribe(Interest(_Available))
        self._ears: dict[_Queue, deque[Ear]] = {}
        self._somebody_waits = asyncio.Event()
        self._supervised = Supervised("task news")
        self.is_closed = False

    @property
    def waiting(self) -> Mapping[_Queue, int]:
        """How many wait at each queue."""
        return {queue: len(ears) for queue, ears in self._ears.items()}

    def add(self, ear: Ear) -> None:
        """Report to this one, too."""
        self._ears.setdefault(ear.queue, deque()).append(ear)
        self._somebody_waits.set()
        self._alarm.wake()

    def remove(self, ear: Ear, untaken: deque[Candidate]) -> None:
        """Report to it no more. What it has not taken is for another."""
        ears = self._ears[ear.queue]
        ears.remove(ear)
        for candidate in untaken:
            self.tell(ear.queue, candidate)
        if not ears:
            del self._ears[ear.queue]
        if not self._ears:
            self._somebody_waits.clear()

    def tell(self, queue: _Queue, candidate: Candidate) -> None:
        """Report to the one that has waited longest and can use it. Those who come later look for
        themselves."""
        ears = self._ears.get(queue, ())
        ear = next((ear for ear in ears if ear.wants_more), None)
        if ear is not None:
            ear.tell(candidate)

    def close(self) -> None:
        """Let nobody wait any more, and read nothing, because the service stops."""
        self.is_closed = True
        self._somebody_waits.set()
        self._alarm.wake()
        for ears in self._ears.values():
            for ear in ears:
                ear.wake()

    async def run(self) -> None:
        """Read the log while somebody waits, whatever happens to it meanwhile, until closed or cancelled.

        An event of a later release, which this one cannot read, is skipped by beginning again at the log's
        end. Those who wait find what came with it when they look again.
        """
        while not self.is_closed:
            await self._somebody_waits.wait()
            if not await self._supervised.has_done(self._follow):
                await self._alarm.wait(_POLL_SECONDS)

    async def _follow(self) -> None:
        tail = Tail(self._store, self._reads, batch_size=_BATCH)
        while self._ears and not self.is_closed:
            await tail.turn_to({self._store.partition_of(tenant) for tenant, _ in self._ears})
            events = await tail.next()
            self._supervised.note_progress()
            for recorded in events:
                self._hear(recorded)
            if not events:
                await self._alarm.wait(_POLL_SECONDS)

    def _hear(self, recorded: Recorded) -> None:
        event = recorded.event
        if isinstance(event, _Available):
            self.tell((recorded.meta.tenant, event.queue), (event.task_id, recorded.version))
