"""Group commit: appends that wait for the same disk share one commit.

A commit holds the log's lock until it is on the disk, so alone each append takes a turn of the disk.
Here, what callers give while one commit is under way goes into the next one together. A caller that meets
nobody commits at once and on its own thread.
"""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST_AT_ONCE = 200


class GroupCommit(Generic[T, R]):
    """Merges the calls of many threads. ``together`` gives each its own answer, in their order.

    An answer that is an exception is raised to that caller alone; what ``together`` raises, to all whom
    it was called for. One caller leads at a time, with its own thread; when it is done, it leaves the
    lead to the first who has come meanwhile.
    """

    def __init__(self, together: Callable[[Sequence[T]], Sequence[R | Exception]]) -> None:
        self._together = together
        self._guard = Lock()
        self._waiting: deque[_Call[T, R]] = deque()
        self._is_led = False

    def __call__(self, given: T) -> R:
        """Commit, together with whoever waits at the same time."""
        call: _Call[T, R] = _Call(given)
        with self._guard:
            self._waiting.append(call)
            follows, self._is_led = self._is_led, True
        if follows:
            call.wait()
        if not call.is_answered:
            self._lead()
        return call.result()

    def _lead(self) -> None:
        with self._guard:
            calls = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
        try:
            answers = self._together([call.given for call in calls])
            for call, answer in zip(calls, answers, strict=True):
                call.be_answered(answer)
        except BaseException as error:
            for call in calls:
                call.be_answered(error)
        finally:
            with self._guard:
                self._is_led = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].be_woken()


class _Call(Generic[T, R]):
    """What one caller gave, and what became of it."""

    def __init__(self, given: T) -> None:
        self.given = given
        self.is_answered = False
        self._answer: R | BaseException | None = None
        self._asleep = Lock()
        self._asleep.acquire()

    def wait(self) -> None:
        """Sleep until there is an answer, or the lead to be taken."""
        self._asleep.acquire()

    def be_woken(self) -> None:
        self._asleep.release()

    def be_answered(self, answer: R | BaseException) -> None:
        self._answer = answer
        self.is_answered = True
        self.be_woken()

    def result(self) -> R:
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer  # type: ignore[return-value]
