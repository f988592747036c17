"""A cache of answers for callers that ask the same question often, and concurrently."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Generic, TypeVar

import msgspec
from cachetools import LRUCache

K = TypeVar("K")
V = TypeVar("V")


class SingleFlightCache(Generic[K, V]):
    """Keeps the answers for the ``most`` keys that were asked for last.

    An answer is as old as its question: no caller gets one whose question was sent more than ``seconds``
    before its own. One question per key is under way at a time, and concurrent callers share its answer or
    its error. Errors are not kept. The question continues even if one of the callers gives up.
    """

    def __init__(
        self,
        ask: Callable[[K], Awaitable[V]],
        *,
        seconds: float,
        most: int,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._now = now
        self._answers: LRUCache[K, tuple[float, V]] = LRUCache(most)
        self._askings: dict[K, _Asking[V]] = {}

    async def get(self, key: K) -> V:
        """Return the answer for a key.

        Raises:
            Exception: what asking raised.
        """
        oldest = self._now() - self._seconds
        while True:
            answer = self._answers.get(key)
            if answer is not None and answer[0] >= oldest:
                return answer[1]
            asking = self._askings.get(key) or self._begin(key)
            if asking.began >= oldest:
                return await asyncio.shield(asking.task)
            await asyncio.wait((asking.task,))

    def at_hand(self, key: K) -> V | None:
        """Return the answer if it is known and fresh enough. Nothing is asked."""
        answer = self._answers.get(key)
        return answer[1] if answer is not None and answer[0] >= self._now() - self._seconds else None

    def forget(self, key: K) -> None:
        """Drop the answer for a key. A question that is under way only serves those who already wait for
        it."""
        self._answers.pop(key, None)
        self._askings.pop(key, None)

    def _begin(self, key: K) -> "_Asking[V]":
        asking = _Asking(self._now(), asyncio.ensure_future(self._ask(key)))
        self._askings[key] = asking
        asking.task.add_done_callback(partial(self._end, key, asking))
        return asking

    def _end(self, key: K, asking: "_Asking[V]", task: asyncio.Future[V]) -> None:
        has_answer = not task.cancelled() and task.exception() is None
        if self._askings.get(key) is asking:
            del self._askings[key]
            if has_answer:
                self._answers[key] = asking.began, task.result()


class _Asking(msgspec.Struct, Generic[V], frozen=True, eq=False):
    began: float
    task: asyncio.Future[V]
