"""Those who wait for the same thing, in a line for each tenant. The lines take turns."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class WaitingLines(Generic[T]):
    """Who comes waits behind those of its own line, not behind those of other lines."""

    def __init__(self, line_of: Callable[[T], Hashable]) -> None:
        self._line_of = line_of
        self._lines: OrderedDict[Hashable, deque[T]] = OrderedDict()

    def append(self, thing: T) -> None:
        """Let it wait at the end of its line."""
        self._lines.setdefault(self._line_of(thing), deque()).append(thing)

    def take(self, most: int) -> list[T]:
        """Return who is next, one of each line, again and again."""
        taken: list[T] = []
        while self._lines and len(taken) < most:
            line, waiting = self._lines.popitem(last=False)
            taken.append(waiting.popleft())
            if waiting:
                self._lines[line] = waiting
        return taken

    def take_all(self) -> list[T]:
        """Return everybody."""
        return self.take(sum(map(len, self._lines.values())))

    def put_back(self, things: Sequence[T]) -> None:
        """Let those who were taken be the next, in their order."""
        for thing in reversed(things):
            line = self._line_of(thing)
            self._lines.setdefault(line, deque()).appendleft(thing)
            self._lines.move_to_end(line, last=False)

    def take_from_the_longest(self, newcomer: T) -> T | None:
        """Return the last of the longest line, or None if the newcomer's own would then be as long."""
        longest = max(self._lines.values(), key=len, default=None)
        if longest is None or len(longest) <= len(self._lines.get(self._line_of(newcomer), ())) + 1:
            return None
        return longest.pop()
