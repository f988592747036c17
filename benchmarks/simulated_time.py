"""SIMULATION: discrete-event simulation of time, and the objects for which processes wait.

A process is a generator. It yields how long something takes, in microseconds, or the object that it waits
for.
"""

import heapq
from collections import deque
from collections.abc import Generator
from itertools import count
from typing import TypeAlias


class Turn:
    """A resource with a number of places. Processes get one in the order of their arrival."""

    def __init__(self, clock: "Clock", places: int) -> None:
        self._clock = clock
        self._free = places
        self._places = places
        self._waiting: deque[Process] = deque()
        self._taken_at = 0.0
        self._taken = 0.0

    def enter(self, process: "Process") -> None:
        """Resume a process once it has a place."""
        if self._free:
            self._count()
            self._free -= 1
            self._clock.resume(process)
        else:
            self._waiting.append(process)

    def leave(self) -> None:
        """Give the place to the next process."""
        self._count()
        if self._waiting:
            self._clock.resume(self._waiting.popleft())
        else:
            self._free += 1

    @property
    def is_free(self) -> bool:
        """Whether a place is free now."""
        return self._free > 0

    def taken(self) -> float:
        """Return how long the places have been taken so far, averaged over all of them."""
        self._count()
        return self._taken

    def _count(self) -> None:
        taken = (self._places - self._free) / self._places
        self._taken += taken * (self._clock.now - self._taken_at)
        self._taken_at = self._clock.now


class Signal:
    """Wakes all processes that wait for it."""

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._waiting: list[Process] = []

    def enter(self, process: "Process") -> None:
        """Let a process wait."""
        self._waiting.append(process)

    def wake(self) -> None:
        """Resume all waiting processes."""
        waiting, self._waiting = self._waiting, []
        for process in waiting:
            self._clock.resume(process)


Wait: TypeAlias = float | Turn | Signal
Process: TypeAlias = Generator[Wait, None, None]


class Clock:
    """Runs processes in the order of their times, in microseconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Process]] = []
        self._order = count()

    def resume(self, process: Process, after: float = 0.0) -> None:
        """Resume a process after a time."""
        heapq.heappush(self._due, (self.now + after, next(self._order), process))

    def run(self, until: float) -> None:
        """Run all processes until a time."""
        while self._due and self._due[0][0] <= until:
            self.now, _, process = heapq.heappop(self._due)
            wait = next(process, None)
            if isinstance(wait, Turn | Signal):
                wait.enter(process)
            elif wait is not None:
                self.resume(process, wait)
        self.now = until
