"""Claims of tasks. Candidates come from the documents, or from the log; an append decides who gets one."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing
from datetime import datetime
from typing import Protocol

import msgspec
from cachetools import LRUCache

from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.ports import Clock
from application.side_by_side import outcomes_of, raise_first
from application.task_commands import ClaimTask
from application.task_news import Candidate, Ear, TaskNews
from domain.errors import Refusal, StoreUnavailable
from domain.event import Metadata
from domain.task import digest_of
from domain.values import derived_id

_LOOK_AGAIN_SECONDS = (0.1, 1.0)
"""After these times a waiting claim reads the documents again: they may not have had yet what the log
reported before the claim came."""

_LOOK_AT_LAST_SECONDS = 10.0
"""How often a claim that continues to wait reads the documents, for tasks reported to a claim that then could
not take them."""

_LEAST_CANDIDATES = 20
_MOST_CANDIDATES = 200
_AT_ONCE = 50
_REMEMBERED = 10_000

_Version = tuple[int, int]
"""The version of a task, after how often the log was found to be another one. What was claimed in a lost log
says nothing."""

_NONE: _Version = (0, 0)


class Candidates(Protocol):
    """Finds the tasks of a queue that may be claimed. It may lag behind the log."""

    async def offered(
        self, tenant: str, queue: str, *, after: tuple[str, str] | None, limit: int
    ) -> tuple[Sequence[Candidate], tuple[str, str] | None]:
        """Return the waiting tasks, the oldest first, and where to continue."""
        ...

    async def expired(self, tenant: str, queue: str, *, now: datetime, limit: int) -> Sequence[Candidate]:
        """Return some of the tasks whose leases have run out, and that are not back in the queue yet."""
        ...


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker asks for: up to ``most`` tasks of a queue, for ``lease_seconds``."""

    meta: Metadata
    names_no_correlation: bool = False
    queue: str
    worker_id: str
    most: int
    lease_seconds: float


class Claimed(msgspec.Struct, frozen=True):
    """A task that the worker has now. The token is nowhere else."""

    task_id: str
    lease_token: str
    committed: Committed


class TaskClaims:
    """Hands tasks out, never the same one to two workers.

    In this process no two claims try the same version of a task, and none tries one that was claimed since
    its document was written, unless the log has lost that: ``switches`` says how often it was found to be
    another one. Another process may be faster. Then the append fails, and the next task is tried.
    """

    def __init__(
        self,
        dispatch: Dispatcher,
        candidates: Candidates,
        news: TaskNews,
        clock: Clock,
        new_token: Callable[[], str],
        *,
        switches: Callable[[], int],
    ) -> None:
        self._dispatch = dispatch
        self._candidates = candidates
        self._news = news
        self._clock = clock
        self._new_token = new_token
        self._switches = switches
        self._tried: LRUCache[tuple[str, str], _Version] = LRUCache(_REMEMBERED)
        self._turns = asyncio.Semaphore(_AT_ONCE)

    def ear(self, wanted: Wanted) -> Ear:
        """Return an ear that can wait for what is wanted."""
        return Ear(self._news, (wanted.meta.tenant, wanted.queue), wanted.most)

    async def claim(self, wanted: Wanted) -> Sequence[Claimed]:
        """Return what can be claimed now, the oldest first.

        Raises:
            StoreUnavailable: the documents or the log are away, and nothing is claimed. A task that was
                claimed without an answer comes back when its lease runs out.
        """
        claimed: list[Claimed] = []
        try:
            async with aclosing(self._looked_for(wanted)) as pages:
                async for candidates in pages:
                    claimed += await self._try(wanted, candidates, wanted.most - len(claimed))
                    if len(claimed) >= wanted.most:
                        break
        except StoreUnavailable:
            if not claimed:
                raise
        return claimed

    async def _looked_for(self, wanted: Wanted) -> AsyncGenerator[Sequence[Candidate], None]:
        """Yield the waiting tasks, page by page, and at last those whose leases have run out."""
        tenant, queue = wanted.meta.tenant, wanted.queue
        limit = min(_MOST_CANDIDATES, _LEAST_CANDIDATES + 2 * wanted.most)
        after: tuple[str, str] | None = None
        while True:
            page, after = await self._candidates.offered(tenant, queue, after=after, limit=limit)
            yield page
            if after is None:
                break
        yield await self._candidates.expired(tenant, queue, now=self._clock.now(), limit=limit)

    async def claim_or_wait(
        self, wanted: Wanted, ear: Ear, seconds: float, outside: Callable[[], AbstractContextManager[None]]
    ) -> Sequence[Claimed]:
        """Return what can be claimed now, or else the first that comes within ``seconds``. While waiting, it
        is ``outside``.

        Raises:
            StoreUnavailable: the documents or the log are away.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        looks = _looks()
        look_at = clock() + next(looks)
        claimed = await self.claim(wanted)
        while not claimed and not ear.has_left and clock() < end:
            with outside():
                told = await ear.next(min(end, look_at) - clock())
            if ear.has_left:
                for candidate in told:
                    ear.tell(candidate)
            elif told:
                claimed = await self._try(wanted, told, wanted.most)
            elif clock() >= look_at:
                look_at = clock() + next(looks)
                claimed = await self.claim(wanted)
        return claimed

    async def _try(self, wanted: Wanted, candidates: Sequence[Candidate], most: int) -> list[Claimed]:
        """Claim as many of the candidates as possible, at most ``most``. If one cannot be claimed, the next
        is tried."""
        claimed: list[Claimed] = []
        left = deque(candidates)
        while chosen := self._chosen(wanted.meta.tenant, left, most - len(claimed)):
            outcomes = await outcomes_of(lambda task_id: self._claim(wanted, task_id), chosen)
            claimed += [outcome for outcome in outcomes if isinstance(outcome, Claimed)]
            if not claimed:
                raise_first(outcomes)
            if any(isinstance(outcome, Exception) for outcome in outcomes):
                break
        return claimed

    def _chosen(self, tenant: str, left: deque[Candidate], most: int) -> list[str]:
        """Return the next ``most`` tasks that nobody here has tried at that version. They count as tried
        now."""
        chosen: list[str] = []
        while left and len(chosen) < most:
            task_id, version = left.popleft()
            offered = self._switches(), version
            if offered > self._tried.get((tenant, task_id), _NONE):
                self._note(tenant, task_id, offered)
                chosen.append(task_id)
        return chosen

    async def _claim(self, wanted: Wanted, task_id: str) -> Claimed | None:
        """Claim one task, or return None if that is not possible."""
        tenant = wanted.meta.tenant
        token, switches = self._new_token(), self._switches()
        command_id = derived_id("claim", wanted.meta.command_id, task_id, token)
        command = ClaimTask(
            meta=msgspec.structs.replace(wanted.meta, command_id=command_id),
            names_no_correlation=wanted.names_no_correlation,
            task_id=task_id,
            worker_id=wanted.worker_id,
            lease_digest=digest_of(token),
            lease_seconds=wanted.lease_seconds,
        )
        try:
            async with self._turns:
                committed = await self._dispatch(command)
        except Refusal:
            return None
        except BaseException:
            self._tried.pop((tenant, task_id), None)
            raise
        self._note(tenant, task_id, (switches, committed.version - 1))
        return Claimed(task_id, token, committed)

    def _note(self, tenant: str, task_id: str, version: _Version) -> None:
        """Note that a task was tried at that version, or had been changed after it."""
        key = (tenant, task_id)
        self._tried[key] = max(version, self._tried.get(key, _NONE))


def _looks() -> Iterator[float]:
    yield from _LOOK_AGAIN_SECONDS
    while True:
        yield _LOOK_AT_LAST_SECONDS
