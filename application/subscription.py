"""Waking followers when events are appended."""

from collections.abc import Iterable

import anyio

from domain.event import Event
from domain.interest import EVERYTHING, Interest


class Subscription:
    """The alarm clock of one follower. An append of an event that it wants wakes it, or the clock does.

    Most followers want few kinds of events, and waking one for nothing costs as much as waking it for
    something.
    """

    def __init__(self, everybody: "set[Subscription]", wants: Interest = EVERYTHING) -> None:
        self._everybody = everybody
        self._wants = wants
        self._woken = anyio.Event()
        everybody.add(self)

    def reset(self) -> None:
        """Count everything that woke it as heard. Whoever reads from now on sees it."""
        if self._woken.is_set():
            self._woken = anyio.Event()

    async def wait(self, seconds: float) -> None:
        """Return when woken, or after ``seconds``. Return at once if it was woken since the last wait."""
        with anyio.move_on_after(seconds):
            await self._woken.wait()
        self.reset()

    def wake(self) -> None:
        """End a wait now."""
        self._woken.set()

    def wake_for(self, events: Iterable[Event]) -> None:
        """End a wait if one of the events is wanted."""
        if self._wants.in_any(events):
            self.wake()

    def close(self) -> None:
        """End the subscription."""
        self._everybody.discard(self)
