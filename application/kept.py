"""Answers that are kept for a while, for who asks the same often and at once."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Generic, TypeVar

import msgspec
from cachetools import LRUCache

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """What was answered of the ``most`` keys that were asked for last.

    An answer is as old as its asking: no caller gets one whose asking began more than ``seconds`` before its
    own. A key is asked for once at a time, and whoever comes meanwhile shares the answer, or the error, which
    is not kept. An asking goes on though one of those who wait for it gives up.
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
        """The answer for a key.

        Raises:
            Exception: what the asking raised.
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
        """The answer, if nobody has to be asked for it."""
        answer = self._answers.get(key)
        return answer[1] if answer is not None and answer[0] >= self._now() - self._seconds else None

    def forget(self, key: K) -> None:
        """Ask anew next time; what is on its way is for those alone who wait for it already."""
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
