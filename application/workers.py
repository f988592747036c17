"""Threads that do what waits, as much of it together as possible: the way to a blocking store.

The next free thread does together what came while every thread was at work. So one hop to a thread, one read
of the store and one commit serve as many callers as there are at the time, and a caller that comes alone
waits for nobody. The callers of one tenant do not hold up those of another: they take turns, and what takes
long together is done in parts.
"""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Condition
from typing import Generic, TypeVar

from application.overdue import Overdue
from application.waiting_lines import WaitingLines
from domain.errors import StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")


class NotBegun(StoreUnavailable):
    """The answer to a call that is left for later, because those before it took long. Only a caller whom the
    end of all work leaves without a later gets it."""

    def __init__(self) -> None:
        super().__init__("the event store is closed")


class Workers(Generic[T, R]):
    """Limits what a slow store can pile up in this process. Use it from one event loop.

    ``size`` threads are at work, each on up to ``at_once`` calls. ``most_waiting`` more wait, and further
    ones are refused at once. A call that has not begun within ``turn_seconds`` never does. So somebody waits
    for everything that is at work, however slow the store is; with one time limit for both, callers would
    give up when their turn has come. A call that is at work for another ``patience_seconds`` is abandoned.
    Its place stays taken until it ends, so that a frozen store costs no more than a fast one.

    ``together`` gives each call its own answer, in their order. An answer that is an exception is raised to
    that caller alone; :class:`NotBegun` is none, and the call is among the next ones. ``on_answers`` is
    called with the calls and their answers before the callers get them.

    Calls wait in the line that ``line_of`` tells. If there is no place left, the last of the longest line is
    refused in place of one of a shorter line.
    """

    def __init__(
        self,
        together: Callable[[Sequence[T]], Sequence[R | Exception]],
        *,
        size: int,
        at_once: int,
        most_waiting: int,
        turn_seconds: float,
        patience_seconds: float,
        on_answers: Callable[[Sequence[T], Sequence[R | Exception]], None] = lambda calls, answers: None,
        line_of: Callable[[T], Hashable] = lambda given: None,
    ) -> None:
        self._together = together
        self._size = size
        self._at_once = at_once
        self._places = size * at_once + most_waiting
        self._without_turn = Overdue[_Call[T, R]](turn_seconds, self._turn_is_over)
        self._without_answer = Overdue[_Call[T, R]](patience_seconds, self._patience_is_over)
        self._turn_seconds = turn_seconds
        self._patience_seconds = patience_seconds
        self._on_answers = on_answers
        self._executor = ThreadPoolExecutor(size, thread_name_prefix="event store")
        self._guard = Condition()
        self._waiting = WaitingLines[_Call[T, R]](lambda call: line_of(call.given))
        self._at_work = 0
        self._is_closed = False

    async def __call__(self, given: T) -> R:
        """Return the answer to one call.

        Raises:
            StoreUnavailable: too many wait already, or it took too long; it may or may not be done.
        """
        if self._is_closed:
            raise StoreUnavailable("the event store is closed")
        call: _Call[T, R] = _Call(given, asyncio.get_running_loop())
        self._take_place(call)
        self._without_turn.wait(call.loop, call)
        self._hand_over(call)
        try:
            return await call.answer
        finally:
            call.is_left = True
            self._without_turn.leave(call)
            self._without_answer.leave(call)

    def close(self, *, patience_seconds: float = 0.0) -> bool:
        """Begin nothing more, and return whether everything that was at work has ended within that time.

        What has not ended may continue to use whatever the work uses.
        """
        self._is_closed = True
        with self._guard:
            left = self._waiting.take_all()
            has_ended = self._guard.wait_for(lambda: not self._at_work, patience_seconds)
        for call in left:
            call.end(StoreUnavailable("the event store is closed"))
        self._executor.shutdown(wait=False)
        return has_ended

    def _take_place(self, call: "_Call[T, R]") -> None:
        if self._places:
            self._places -= 1
            return
        refusal = StoreUnavailable("too many calls wait for the event store")
        with self._guard:
            other = self._waiting.take_from_the_longest(call)
        if other is None:
            raise refusal
        other.end(refusal)

    def _hand_over(self, call: "_Call[T, R]") -> None:
        with self._guard:
            self._waiting.append(call)
            if self._at_work == self._size:
                return
            self._at_work += 1
        self._executor.submit(self._work)

    def _work(self) -> None:
        while calls := self._taken():
            begun = [call for call in calls if call.begins()]
            answers: Sequence[R | Exception] = ()
            if begun:
                try:
                    answers = self._together([call.given for call in begun])
                except Exception as error:
                    answers = [error] * len(begun)
            left = [call for call, answer in zip(begun, answers, strict=True) if type(answer) is NotBegun]
            places = len(calls)
            if left and self._put_back(left):
                answers = [answer for answer in answers if type(answer) is not NotBegun]
                begun = [call for call in begun if call not in left]
                places -= len(left)
            with suppress(RuntimeError):
                calls[0].loop.call_soon_threadsafe(self._answer, places, begun, answers)

    def _put_back(self, calls: "Sequence[_Call[T, R]]") -> bool:
        """Let calls be the next. Return False if nothing begins any more."""
        with self._guard:
            if self._is_closed:
                return False
            for call in calls:
                call.has_begun = False
            self._waiting.put_back(calls)
            return True

    def _taken(self) -> "list[_Call[T, R]]":
        with self._guard:
            taken = [] if self._is_closed else self._waiting.take(self._at_once)
            if not taken:
                self._at_work -= 1
                self._guard.notify_all()
            return taken

    def _answer(self, places: int, calls: "Sequence[_Call[T, R]]", answers: Sequence[R | Exception]) -> None:
        self._places += places
        self._on_answers([call.given for call in calls], answers)
        for call, answer in zip(calls, answers, strict=True):
            call.end(answer)

    def _turn_is_over(self, call: "_Call[T, R]") -> None:
        if call.has_begun:
            self._without_answer.wait(call.loop, call)
        else:
            call.give_up("turn", self._turn_seconds)

    def _patience_is_over(self, call: "_Call[T, R]") -> None:
        call.give_up("answer", self._patience_seconds)


class _Call(Generic[T, R]):
    """What one caller gave, and whether anybody waits for the answer."""

    __slots__ = ("answer", "given", "has_begun", "is_left", "loop")

    def __init__(self, given: T, loop: asyncio.AbstractEventLoop) -> None:
        self.given = given
        self.loop = loop
        self.answer: asyncio.Future[R] = loop.create_future()
        self.has_begun = False
        self.is_left = False

    def begins(self) -> bool:
        """Return whether somebody still waits for it. This runs on the thread that would do it."""
        self.has_begun = True
        return not self.is_left

    def end(self, answer: R | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)

    def give_up(self, lacking: str, seconds: float) -> None:
        """End it with an error that says what was missing."""
        self.is_left = True
        self.end(StoreUnavailable(f"the event store had no {lacking} within {seconds:g} s"))


def one_by_one(calls: Sequence[Callable[[], R]]) -> Sequence[R | Exception]:
    """Answer calls that have nothing to do with each other."""
    return [_outcome(call) for call in calls]


def _outcome(call: Callable[[], R]) -> R | Exception:
    try:
        return call()
    except Exception as error:
        return error
