"""``X-Min-Position``: a query waits until the data it reads has followed the log up to a command's position.

If a projection runs in this process, its follower knows its position at once, and is asked to read the log
again. Otherwise the saved positions are read. They are saved about once a second, and only for events that
concern the projection. So the log is also read: a projection has reached the position if no event up to it
concerns the projection.

A policy may create a resource that a command's response names only a moment later, after the command's
position. So a query that does not find it looks again until that policy has handled all events up to the
position.

A position belongs to the partition of the caller's tenant, which has everything that a caller reads and
changes.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import anyio
from starlette.requests import Request

from application.event_log import is_position, number_of
from application.event_store import EventStore
from application.shared_reads import SharedReads
from application.single_flight_cache import SingleFlightCache
from domain.faults import Fault
from domain.interest import EVERYTHING, Interest
from domain.lease import Unrivalled
from interfaces.rest.errors import ApiError, Invalid
from interfaces.rest.places import WaitingPlaces
from projections.follower import Follower
from projections.ports import Checkpoints

HEADER = "X-Min-Position"

WAIT_SECONDS = 5
LONGEST_WAIT_SECONDS = 30

_LOOK_AGAIN_SECONDS = 0.05
_ASK_AGAIN_SECONDS = 0.2
"""How long a saved position is reused, however many requests wait for it."""

_LOOK_AT, _MOST_LOOKS = 500, 4
"""How many events are read at once, and how often, to see whether they concern a projection."""

_MOST_SEEN = 1_000
"""How many saved positions are cached, each of a name and a partition."""

T = TypeVar("T")

_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,6})"?\s*(;.*)?', re.ASCII | re.IGNORECASE)


class Freshness:
    """Makes queries wait, up to ``most_waiting`` at once. They do not count among those that are answered.

    ``follower`` returns the follower of this process with a name for a partition, if there is one. ``saved``
    are the saved positions by name, and ``wants`` says which events concern each; both include policies. A
    query that does not say what it reads waits for all ``projections``.
    """

    def __init__(
        self,
        store: EventStore,
        follower: Callable[[str, str], Follower | None],
        saved: Mapping[str, Checkpoints],
        *,
        reads: SharedReads,
        wants: Mapping[str, Interest],
        projections: Sequence[str],
        most_waiting: int,
    ) -> None:
        self._store = store
        self._follower = follower
        self._checkpoints = saved
        self._saved = SingleFlightCache(self._load, seconds=_ASK_AGAIN_SECONDS, most=_MOST_SEEN)
        self._reads = reads
        self._wants = wants
        self._projections = projections
        self._places = WaitingPlaces(most_waiting)
        self._waiting: set[anyio.CancelScope] = set()
        self._is_stopping = False

    async def require(self, request: Request, tenant: str, projections: Sequence[str] | None) -> None:
        """Return once the named projections, or all of them, have reached the request's position in the
        tenant's partition.

        Raises:
            ApiError: 400, it is not a position of this log; 503, they have not reached it in time.
        """
        if HEADER not in request.headers:
            return
        position = request.headers[HEADER].strip()
        partition = self._store.partition_of(tenant)
        if not is_position(position) or not await self._store.knows(partition, position):
            raise Invalid([Fault(HEADER, "is not a position of this log")])
        names = self._projections if projections is None else projections
        request.state.waits_until = until = anyio.current_time() + wait_of(request)
        if not names:
            return
        with self._stay(tenant):
            if await self._all_reach(names, _Goal(partition, number_of(position)), until):
                return
        raise _not_yet()

    async def look_until_made(
        self, request: Request, tenant: str, policy: str, look: Callable[[], Awaitable[T | None]]
    ) -> T | None:
        """Call ``look`` until it finds something, which is returned, or until the policy has handled all
        events up to the request's position: then return None if there is still nothing. The time limit is
        that of :meth:`require`.

        Raises:
            ApiError: 503, the policy has not reached the position in time.
        """
        position = request.headers[HEADER].strip()
        goal = _Goal(self._store.partition_of(tenant), number_of(position))
        until: float = request.state.waits_until
        with self._stay(tenant):
            while True:
                has_acted = await self._has_reached(policy, goal)
                found = await look()
                if found is not None or has_acted:
                    return found
                if not await self._pause(policy, goal.partition, until):
                    break
        raise _not_yet()

    def stop(self) -> None:
        """End all waiting."""
        self._is_stopping = True
        for scope in self._waiting:
            scope.cancel()

    @contextmanager
    def _stay(self, tenant: str) -> Iterator[None]:
        """Occupy a place, until :meth:`stop`."""
        with self._places.taken(tenant), anyio.CancelScope() as scope:
            self._waiting.add(scope)
            try:
                yield
            finally:
                self._waiting.discard(scope)

    async def _all_reach(self, names: Sequence[str], goal: "_Goal", until: float) -> bool:
        for name in names:
            while not await self._has_reached(name, goal):
                if not await self._pause(name, goal.partition, until):
                    return False
        return True

    async def _has_reached(self, name: str, goal: "_Goal") -> bool:
        follower = self._follower(name, goal.partition)
        if follower is not None and follower.is_following:
            return number_of(follower.positions.get(goal.partition)) >= goal.number
        saved = await self._saved.get((name, goal.partition))
        return number_of(saved) >= goal.number or await self._passes_by(name, goal, saved)

    async def _load(self, of: tuple[str, str]) -> str | None:
        """Return the position that another process's follower has saved, by name and partition."""
        name, partition = of
        return await self._checkpoints[name].load(name, partition, Unrivalled(name))

    async def _passes_by(self, name: str, goal: "_Goal", after: str | None) -> bool:
        """Return whether no event from ``after`` to the goal concerns a projection or policy. If there are
        too many events to read, return False."""
        wants = self._wants.get(name, EVERYTHING)
        for _ in range(_MOST_LOOKS):
            batch = await self._reads.read(goal.partition, after, _LOOK_AT)
            if batch is None or wants.among(batch.events):
                return False
            after = batch.position
            if number_of(after) >= goal.number:
                return True
        return False

    async def _pause(self, name: str, partition: str, until: float) -> bool:
        """Wait until there may be progress. Return False, without waiting, if the time is over."""
        seconds = until - anyio.current_time()
        if seconds <= 0 or self._is_stopping:
            return False
        follower = self._follower(name, partition)
        if follower is None or not follower.is_following:
            await anyio.sleep(min(seconds, _ASK_AGAIN_SECONDS))
            return True
        follower.look_again()
        with anyio.move_on_after(min(seconds, _LOOK_AGAIN_SECONDS)):
            await follower.has_moved()
        return True


class _Goal(NamedTuple):
    """A position to reach in a partition."""

    partition: str
    number: int


def _not_yet() -> ApiError:
    message = "the data that is read has not reached X-Min-Position yet; try again"
    return ApiError(503, "NOT_YET", message, headers={"Retry-After": "1"})


def wait_of(request: Request) -> float:
    """Return how many seconds a query may wait: ``Prefer: wait=s``, at most ``LONGEST_WAIT_SECONDS``."""
    for header in request.headers.getlist("prefer"):
        for preference in header.split(","):
            if match := _WAIT.fullmatch(preference.strip()):
                return float(min(int(match[1]), LONGEST_WAIT_SECONDS))
    return float(WAIT_SECONDS)
