"""The event log: our ``eventsourcing`` application and the one way to decide on a stream.

The library is synchronous, so each use of it is one hop to a worker thread. A command is one hop:
load, decide and append, again from a fresh load when another writer was first.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar, cast

import anyio
import msgspec
from eventsourcing.application import Application
from eventsourcing.persistence import (
    ConnectionPoolClosedError,
    DatabaseError,
    IntegrityError,
    InterfaceError,
    InternalError,
    Notification,
    OperationalError,
    PersistenceError,
)
from eventsourcing.utils import Environment

from application.event_mapper import EventMapper
from application.threads import Threads
from domain.errors import StoreUnavailable, VersionMismatch
from domain.event import Event, Metadata, Recorded, event_id

S = TypeVar("S")
R = TypeVar("R")

PARTITION = "log"
"""SQLite and PostgreSQL keep one order over all tenants: one partition."""

THREADS = 13
"""With the threads below, as many as the library's SQLite pool has connections; more writers were slower."""

OTHER_THREADS = 2
"""One for the readers of the log, who must not wait behind commands; one for the ping."""

_MOST_WAITING = 256
_TURN_SECONDS = 3.0
_PATIENCE_SECONDS = 10.0

_MAX_ATTEMPTS = 100

BEGINNING = f"{PARTITION}-0"
"""The position before the first event."""

_IDENTITY_DIGITS = 12


class Committed(msgspec.Struct, frozen=True):
    """What became of a command: the stream as it now stands, and how much of it is new."""

    stream: str
    events: tuple[Recorded, ...]
    new: tuple[Recorded, ...]
    position: str

    @property
    def version(self) -> int:
        """The stream's present version."""
        return len(self.events)


class LogBatch(msgspec.Struct, frozen=True):
    """Events of one partition in log order, and the opaque position after the last of them."""

    events: tuple[Recorded, ...]
    position: str


class EventLog(Application[str]):
    """The library's application over our mapper. Its settings come from the container alone."""

    name = "workflow_orchestrator"

    def construct_env(self, name: str, env: Mapping[str, str] | None = None) -> Environment:
        """The given settings and nothing of the process's environment."""
        return Environment(name, {"ORIGINATOR_ID_TYPE": "text", **(env or {})})

    def construct_mapper(self) -> EventMapper:
        """Our mapper in place of the stock one."""
        return self.factory.mapper(transcoder=self.construct_transcoder(), mapper_class=EventMapper)  # type: ignore[return-value]


class EventStore:
    """The log as the rest of the service uses it.

    ``threads`` is how many commands may be at it at once. The store's pool of connections holds
    ``OTHER_THREADS`` more.
    """

    def __init__(self, log: EventLog, threads: int = THREADS) -> None:
        self._log = log
        self._commanding = _threads(threads, _MOST_WAITING)
        self._reading = _threads(1, _MOST_WAITING)
        self._pinging = _threads(1, 0)
        self._wakeups: set[anyio.Event] = set()
        self._newest = 0
        self.appends = 0
        """How often there may have been an append; a reader tells by it whether to look again."""

    async def execute(
        self,
        stream: str,
        *,
        evolve: Callable[[S | None, Event], S],
        decide: Callable[[S | None], Sequence[Event]],
        meta: Metadata,
        now: datetime,
        expected_version: int | None = None,
    ) -> Committed:
        """Load a stream, decide, append; the answer tells the stream as it then stands.

        A command whose id the stream already holds has been handled: nothing is decided again.
        Another writer's append in between means a fresh load and a fresh decision.

        Raises:
            Refusal: ``decide`` refused, or ``expected_version`` is not the present one.
            StoreUnavailable: the store is away; nothing is known to be appended.
        """

        def attempt() -> Committed:
            for _ in range(_MAX_ATTEMPTS):
                events = self._select(stream)
                if any(recorded.meta.command_id == meta.command_id for recorded in events):
                    return Committed(stream, events, (), self._head())
                if events and expected_version not in (None, len(events)):
                    raise VersionMismatch(
                        f"the present version is {len(events)}, not {expected_version}",
                        {"version": len(events)},
                    )
                state: S | None = None
                for recorded in events:
                    state = evolve(state, recorded.event)
                new = tuple(
                    Recorded(stream=stream, version=version, timestamp=now, meta=meta, event=event)
                    for version, event in enumerate(decide(state), start=len(events) + 1)
                )
                if not new:
                    return Committed(stream, events, (), self._head())
                try:
                    recordings = self._log.events.put(new)  # type: ignore[arg-type]
                except IntegrityError:
                    continue
                return Committed(stream, events + new, new, _position(recordings[-1].notification))
            raise StoreUnavailable(f"{stream} is too busy: {_MAX_ATTEMPTS} appends lost the race")

        try:
            committed = await self._run(attempt)
            self._newest = max(self._newest, _number(committed.position) or 0)
            return committed
        finally:
            self._wake()

    async def load(self, stream: str) -> tuple[Recorded, ...]:
        """All events of a stream, the oldest first; none if there is no such stream."""
        return await self._run(lambda: self._select(stream))

    async def history(
        self, stream: str, *, before: int | None, limit: int
    ) -> tuple[tuple[Recorded, ...], int]:
        """Up to ``limit`` events below version ``before``, the newest first, and the stream's version."""

        def select() -> tuple[tuple[Recorded, ...], int]:
            newest = self._select(stream, desc=True, limit=1)
            if not newest:
                return (), 0
            lte = None if before is None else before - 1
            return self._select(stream, lte=lte, desc=True, limit=limit), newest[0].version

        return await self._run(select)

    async def partitions(self) -> Sequence[str]:
        """The partitions of the log, each with an order of its own."""
        return (PARTITION,)

    async def read(self, partition: str, after: str | None, limit: int) -> LogBatch | None:
        """The next events of a partition after a position, or nothing when there are none."""

        def select() -> LogBatch | None:
            notifications: Sequence[Notification] = self._log.recorder.select_notifications(
                _number(after), limit, inclusive_of_start=False
            )
            if not notifications:
                return None
            events = tuple(
                cast(Recorded, self._log.mapper.to_domain_event(stored)) for stored in notifications
            )
            return LogBatch(events, _position(notifications[-1]))

        return await self._read(select)

    async def count_after(self, partition: str, after: str | None) -> int:
        """About how many events follow a position: for progress bars, not for decisions."""
        head = await self._read(lambda: self._log.recorder.max_notification_id())
        return max(0, (head or 0) - (_number(after) or 0))

    async def knows(self, partition: str, position: str) -> bool:
        """Whether a position is one of this log: not of another, nor of a later state of it."""

        def look() -> bool:
            if position == BEGINNING:
                return True
            found = self._log.recorder.select_notifications(_number(position), 1)
            return bool(found) and _position(found[0]) == position

        return await self._read(look)

    async def head(self, partition: str) -> str:
        """The position after the last event of a partition."""
        return await self._read(self._head)

    async def ping(self) -> None:
        """Ask the store for an answer, without waiting behind commands that wait for it too.

        Raises:
            StoreUnavailable: it gave none.
        """
        await self._pinging.run(_translating(self._head))

    def subscribe(self) -> "Subscription":
        """Be woken when this process appends, and when :meth:`notice` tells of another's append."""
        return Subscription(self._wakeups)

    def notice(self, newest: int | None) -> None:
        """Wake who waits for another process's append; ``newest`` is the id of its last event, if known.

        What is older than an append of ours says nothing new: ids and commits come in one order, so who
        was woken by ours has been able to read it. Call it on the event loop.
        """
        if newest is None or newest > self._newest:
            self._newest = max(self._newest, newest or 0)
            self._wake()

    def close(self) -> None:
        """Give back every connection."""
        for threads in (self._commanding, self._reading, self._pinging):
            threads.close()
        self._log.close()

    def _select(
        self, stream: str, *, lte: int | None = None, desc: bool = False, limit: int | None = None
    ) -> tuple[Recorded, ...]:
        found = self._log.events.get(stream, lte=lte, desc=desc, limit=limit)
        return tuple(cast(Iterator[Recorded], found))

    def _head(self) -> str:
        recorder = self._log.recorder
        newest = recorder.select_notifications(recorder.max_notification_id() or 0, 1)
        return _position(newest[0]) if newest else BEGINNING

    def _wake(self) -> None:
        self.appends += 1
        for event in self._wakeups:
            event.set()

    async def _run(self, work: Callable[[], R]) -> R:
        return await self._commanding.run(_translating(work))

    async def _read(self, work: Callable[[], R]) -> R:
        return await self._reading.run(_translating(work))


class Subscription:
    """One follower's alarm clock."""

    def __init__(self, wakeups: set[anyio.Event]) -> None:
        self._wakeups = wakeups
        self._event = anyio.Event()
        wakeups.add(self._event)

    async def wait(self, seconds: float) -> None:
        """Return at the next append, at once if there was one since the last wait, or after ``seconds``."""
        with anyio.move_on_after(seconds):
            await self._event.wait()
        self._wakeups.discard(self._event)
        self._event = anyio.Event()
        self._wakeups.add(self._event)

    def wake(self) -> None:
        """End a wait now."""
        self._event.set()

    def close(self) -> None:
        """Stop being woken."""
        self._wakeups.discard(self._event)


def _threads(size: int, most_waiting: int) -> Threads:
    return Threads(
        size, most_waiting=most_waiting, turn_seconds=_TURN_SECONDS, patience_seconds=_PATIENCE_SECONDS
    )


def _translating(work: Callable[[], R]) -> Callable[[], R]:
    def translated() -> R:
        with _failures_translated():
            return work()

    return translated


@contextmanager
def _failures_translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (InterfaceError, OperationalError, InternalError, ConnectionPoolClosedError) as error:
        raise StoreUnavailable(str(error) or type(error).__name__) from error
    except PersistenceError as error:
        if type(error) in (PersistenceError, DatabaseError):
            raise StoreUnavailable(str(error) or type(error).__name__) from error
        raise


def _position(notification: Notification) -> str:
    """A position names the event that it stands behind, so that another log's is recognised as such."""
    identity = event_id(str(notification.originator_id), notification.originator_version)
    return f"{PARTITION}-{notification.id}-{identity.hex[:_IDENTITY_DIGITS]}"


def _number(position: str | None) -> int | None:
    return None if position is None else int(position.split("-")[1])
