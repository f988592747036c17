"""SIMULATION: time that passes as fast as it can be reckoned, and what processes wait for in it.

A process is a generator. It yields how long something takes, in microseconds, or what it waits for.
"""

import heapq
from collections import deque
from collections.abc import Generator
from itertools import count
from typing import TypeAlias


class Turn:
    """So many at a time, the others in the order of their coming."""

    def __init__(self, clock: "Clock", places: int) -> None:
        self._clock = clock
        self._free = places
        self._places = places
        self._waiting: deque[Process] = deque()
        self._taken_at = 0.0
        self._taken = 0.0

    def enter(self, process: "Process") -> None:
        """Let a process go on once it has a place."""
        if self._free:
            self._count()
            self._free -= 1
            self._clock.resume(process)
        else:
            self._waiting.append(process)

    def leave(self) -> None:
        """Give the place to the next."""
        self._count()
        if self._waiting:
            self._clock.resume(self._waiting.popleft())
        else:
            self._free += 1

    @property
    def is_free(self) -> bool:
        """Whether who comes now has a place at once."""
        return self._free > 0

    def taken(self) -> float:
        """For how long its places have been taken, over all of them, so far."""
        self._count()
        return self._taken

    def _count(self) -> None:
        taken = (self._places - self._free) / self._places
        self._taken += taken * (self._clock.now - self._taken_at)
        self._taken_at = self._clock.now


class Signal:
    """Wakes all who wait for it."""

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._waiting: list[Process] = []

    def enter(self, process: "Process") -> None:
        """Let a process wait."""
        self._waiting.append(process)

    def wake(self) -> None:
        """Let all go on."""
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
        """Let a process go on then."""
        heapq.heappush(self._due, (self.now + after, next(self._order), process))

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._due and self._due[0][0] <= until:
            self.now, _, process = heapq.heappop(self._due)
            wait = next(process, None)
            if isinstance(wait, Turn | Signal):
                wait.enter(process)
            elif wait is not None:
                self.resume(process, wait)
        self.now = until
