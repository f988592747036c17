"""Worker threads for a store that blocks: so many at work, so many waiting for them, and nobody for ever."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

import anyio

from domain.errors import StoreUnavailable

R = TypeVar("R")


class Threads:
    """Bounds what a slow store can pile up in this process.

    ``size`` calls are at work, ``most_waiting`` wait; one more is turned away at once. A call that has not
    begun within ``turn_seconds`` never does. So whatever is at work has somebody who waits for it, however
    slow the store is; with one patience for both, callers would give up when their turn has come. A call
    that is at work for another ``patience_seconds`` is left to itself. Its place is taken until it ends, so
    that a store which is frozen costs no more than a fast one.
    """

    def __init__(self, size: int, *, most_waiting: int, turn_seconds: float, patience_seconds: float) -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix="event store")
        self._places = BoundedSemaphore(size + most_waiting)
        self._turn_seconds = turn_seconds
        self._patience_seconds = patience_seconds
        self._is_closed = False

    async def run(self, work: Callable[[], R]) -> R:
        """The result of ``work`` on one of the threads.

        Raises:
            StoreUnavailable: too many wait already, or it took too long; it may or may not be done.
        """
        if self._is_closed:
            raise StoreUnavailable("the event store is closed")
        if not self._places.acquire(blocking=False):
            raise StoreUnavailable("too many calls wait for the event store")
        is_given_up = has_begun = False

        def at_work() -> R:
            nonlocal has_begun
            try:
                has_begun = True
                if is_given_up:
                    raise StoreUnavailable("nobody waits for it any more")
                return work()
            finally:
                self._places.release()

        call = asyncio.wrap_future(self._executor.submit(at_work))
        call.add_done_callback(_note_outcome)
        try:
            with anyio.move_on_after(self._turn_seconds):
                return await asyncio.shield(call)
            if not has_begun:
                raise StoreUnavailable(f"the event store had no turn within {self._turn_seconds:g} s")
            with anyio.move_on_after(self._patience_seconds):
                return await asyncio.shield(call)
        finally:
            is_given_up = True
        raise StoreUnavailable(f"the event store gave no answer within {self._patience_seconds:g} s")

    def close(self) -> None:
        """Begin nothing more."""
        self._is_closed = True
        self._executor.shutdown(wait=False)


def _note_outcome(call: "asyncio.Future[R]") -> None:
    """What nobody waits for may fail unheard."""
    if not call.cancelled():
        call.exception()
