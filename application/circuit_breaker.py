"""A circuit breaker: who does not answer is left alone for a while, and then asked once.

Of the libraries for asyncio none that is kept up lets a single probe through; hence this one.
"""

from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half_open"]
STATES: tuple[State, ...] = ("closed", "open", "half_open")


class CircuitBreaker:
    """Opens after ``failures`` calls in a row without an answer, for ``open_seconds``; ``now`` is in seconds,
    from any beginning. Whoever is admitted tells afterwards how it went. A probe that is broken off tells
    nothing, and another may follow at once: who has little time does not keep the circuit open."""

    def __init__(self, *, failures: int, open_seconds: float, now: Callable[[], float]) -> None:
        self._most_failures = failures
        self._open_seconds = open_seconds
        self._now = now
        self._failures = 0
        self._open_until: float | None = None
        self._probe: Admission | None = None

    @property
    def state(self) -> State:
        """Half open from the moment at which it may be tried again."""
        if self._open_until is None:
            return "closed"
        return "half_open" if self._probe or self._now() >= self._open_until else "open"

    @property
    def seconds_left(self) -> float:
        """For how long nothing is admitted, unless the probe brings good news before."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._now())

    def admit(self) -> "Admission | None":
        """Leave to call now, or none; while half open, for one at a time."""
        if self._open_until is None:
            return Admission(self)
        if self._probe is not None or self._now() < self._open_until:
            return None
        self._probe = Admission(self)
        return self._probe

    def _ended(self, admission: "Admission", answered: bool | None) -> None:
        if admission is self._probe:
            self._probe = None
            if answered:
                self._close()
            elif answered is not None:
                self._open()
        elif self._open_until is None and answered is not None:
            self._failures = 0 if answered else self._failures + 1
            if self._failures >= self._most_failures:
                self._open()

    def _close(self) -> None:
        self._failures, self._open_until = 0, None

    def _open(self) -> None:
        self._open_until = self._now() + self._open_seconds


class Admission:
    """Leave for one call. What was admitted before the circuit opened says nothing about it afterwards, and
    of what is told of one call the first word counts."""

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._is_over = False

    def end(self, *, answered: bool | None = None) -> None:
        """Tell whether there was an answer, or nothing where the call was broken off."""
        if not self._is_over:
            self._is_over = True
            self._breaker._ended(self, answered)
