"""``X-Min-Position``: a query waits until what it reads has followed the log up to a command's position.

Where the projection is kept up to date by this process, its follower says at once how far it has come, and
is asked to look again. Elsewhere the saved positions say so. Those are saved about once a second, and not for
what a projection only passes by: so it is looked whether that is all that there is between.

What a command's answer names, a policy may make a moment later, behind the command's position. So a query
that finds nothing there looks again until that policy has acted on all up to the position.

A position is one of the partition in which the caller's tenant is: what a caller reads and changes is there.
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
"""Between two looks at a saved position, however many wait for it."""

_LOOK_AT, _MOST_LOOKS = 500, 4
"""So many events at a time, and so often, it is looked whether they concern a projection."""

_MOST_SEEN = 1_000
"""Saved positions that are kept in mind: of a name and a partition, for the moment between two looks."""

T = TypeVar("T")

_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,6})"?\s*(;.*)?', re.ASCII | re.IGNORECASE)


class Freshness:
    """Makes queries wait, up to ``most_waiting`` at once; they hold no place of those that are answered.

    ``follower`` tells who follows a partition under a name in this process. ``saved`` are the positions of
    each that a query may read, and ``wants`` which events are for it; a query that does not say what it reads
    waits for all ``projections``. Policies are among the former two as well.
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
        """Return once the named projections, or all of them, have reached the position that is asked for in
        the tenant's partition.

        Raises:
            ApiError: 400, it is no position of this log; 503, they have not reached it in time.
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
        """What ``look`` finds, which is asked again until the policy has acted on all up to the position that
        :meth:`require` was asked for, within the same time; nothing, if it has made nothing by then.

        Raises:
            ApiError: 503, it has not come so far in time.
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
        """Nobody waits any more."""
        self._is_stopping = True
        for scope in self._waiting:
            scope.cancel()

    @contextmanager
    def _stay(self, tenant: str) -> Iterator[None]:
        """Wait in a place, until all are to stop."""
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
        """What is saved of the follower of another process, under a name and in a partition."""
        name, partition = of
        return await self._checkpoints[name].load(name, partition, Unrivalled(name))

    async def _passes_by(self, name: str, goal: "_Goal", after: str | None) -> bool:
        """Whether nothing between is for who is asked about, as far as one cares to look."""
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
        """Wait until it is worth while to look again; whether there is time to."""
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
    """How far to have come where."""

    partition: str
    number: int


def _not_yet() -> ApiError:
    message = "the data that is read has not reached X-Min-Position yet; try again"
    return ApiError(503, "NOT_YET", message, headers={"Retry-After": "1"})


def wait_of(request: Request) -> float:
    """For how many seconds the caller would wait: ``Prefer: wait=s``, within our bounds."""
    for header in request.headers.getlist("prefer"):
        for preference in header.split(","):
            if match := _WAIT.fullmatch(preference.strip()):
                return float(min(int(match[1]), LONGEST_WAIT_SECONDS))
    return float(WAIT_SECONDS)
