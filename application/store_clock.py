"""How far this process's clock is from that of the store that all instances share.

One instance at a time does what depends on the clock, and uses its own. If that is hours ahead, everything
happens early, whatever the clocks of the others say. So each instance compares its clock with the one that
they have in common.
"""

import time
from collections.abc import Callable

import msgspec
import structlog

DIFFERS_SECONDS = 60.0
"""Synchronized clocks differ by milliseconds, and a clock may be corrected by so much without further notice.
A clock that differs by more cannot be used; one that differs by less makes nothing happen much too early."""

_AGREES_SECONDS = DIFFERS_SECONDS / 2
"""Within this, a clock that differed is right again, so that a clock at the limit does not go back and
forth."""

log = structlog.get_logger(__name__)


def seconds_passed() -> float:
    """Return the time of a clock that continues while the process, or the whole machine, is suspended, and
    that nobody sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class _Zero(msgspec.Struct, frozen=True):
    """What the store's clock read, in Unix time, when the clock that nobody sets was at zero."""

    earliest: float
    latest: float


class StoreClock:
    """The store's clock, as it was last read with an answer, at some time between the question and the
    answer.

    The time that the answer took does not count as a difference: of all possible differences the least
    counts. A clock that is set between two answers is noticed too, because another clock continues beside it.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, passed: Callable[[], float] = seconds_passed
    ) -> None:
        self._wall = wall
        self._passed = passed
        self._zero: _Zero | None = None
        self._differed = False

    def asked(self) -> float:
        """Return the time of a question, for :meth:`note`."""
        return self._passed()

    def note(self, unix_seconds: float, asked_at: float, *, give_or_take: float = 0.0) -> None:
        """Note what the store's clock reads, by the answer that has just come, to a precision of
        ``give_or_take``."""
        self._zero = _Zero(
            unix_seconds - give_or_take - self._passed(), unix_seconds + give_or_take - asked_at
        )

    @property
    def ahead_seconds(self) -> float:
        """How far our clock is at least ahead, or behind if below 0. It is 0 if no store has told its
        time."""
        if self._zero is None:
            return 0.0
        before, now, after = self._passed(), self._wall(), self._passed()
        least, most = now - after - self._zero.latest, now - before - self._zero.earliest
        return max(least, 0.0) + min(most, 0.0)

    def differs(self) -> bool:
        """Return whether our clock must not be used. Each change is logged."""
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
