"""How far the clock of this process is from that of the store that all instances share.

What goes by the clock is done by one instance at a time, and by its own clock: where that is hours ahead, it
brings about everything early, whatever the clocks of the others say. So each compares its own with the one
that they have in common.
"""

import time
from collections.abc import Callable

import msgspec
import structlog

DIFFERS_SECONDS = 60.0
"""Clocks that are kept differ by milliseconds, and so far one may be put right without a word elsewhere: more
is no clock to go by, and less brings about nothing that much earlier than it should be."""

_AGREES_SECONDS = DIFFERS_SECONDS / 2
"""Within that, a clock that differed is right again: one at the limit does not go back and forth."""

log = structlog.get_logger(__name__)


def seconds_passed() -> float:
    """A clock that goes on while the process, or the whole machine, is suspended, and that nobody sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class _Zero(msgspec.Struct, frozen=True):
    """What the store's clock read, in Unix time, when the one that nobody sets was at zero."""

    earliest: float
    latest: float


class StoreClock:
    """The store's clock, as it was last told with an answer: at some moment between question and answer.

    How long the answer took is no difference: of all that the clocks may differ by, the least counts. A clock
    that is set between two answers is noticed too, since another one goes on beside it.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, passed: Callable[[], float] = seconds_passed
    ) -> None:
        self._wall = wall
        self._passed = passed
        self._zero: _Zero | None = None
        self._differed = False

    def asked(self) -> float:
        """The moment of a question, for :meth:`note`."""
        return self._passed()

    def note(self, unix_seconds: float, asked_at: float, *, give_or_take: float = 0.0) -> None:
        """What the store's clock reads, by the answer that has just come; it tells it that exactly."""
        self._zero = _Zero(
            unix_seconds - give_or_take - self._passed(), unix_seconds + give_or_take - asked_at
        )

    @property
    def ahead_seconds(self) -> float:
        """How far our clock is ahead, at least; below 0: behind. 0 too where no store has told its own."""
        if self._zero is None:
            return 0.0
        before, now, after = self._passed(), self._wall(), self._passed()
        least, most = now - after - self._zero.latest, now - before - self._zero.earliest
        return max(least, 0.0) + min(most, 0.0)

    def differs(self) -> bool:
        """Whether nothing may be done by our clock; each time that it comes or goes, the log tells it."""
        ahead = self.ahead_seconds
        differs = abs(ahead) > (_AGREES_SECONDS if self._differed else DIFFERS_SECONDS)
        if differs and not self._differed:
            log.error(
                "clock_differs",
                seconds=round(ahead),
                what="so far this clock is ahead of the event store's (below 0: behind). Set it right; until"
                " then another instance has to do what goes by the clock: see docs/runbooks/clock-set.md",
            )
        elif self._differed and not differs:
            log.warning("clock_agrees", seconds=round(ahead, 3))
        self._differed = differs
        return differs
