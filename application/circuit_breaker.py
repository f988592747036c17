"""A circuit breaker: a service that does not answer is left alone for a while, and then tried once.

None of the maintained libraries for asyncio lets a single probe through, hence this one.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import Literal

State = Literal["closed", "open", "half_open"]
STATES: tuple[State, ...] = ("closed", "open", "half_open")

_WORSE: tuple[State, ...] = ("closed", "half_open", "open")
_MOST_KEPT = 10_000


class CircuitBreaker:
    """Opens after ``failures`` calls in a row without an answer, for ``open_seconds``. ``now`` is in seconds,
    from any beginning. Whoever is admitted reports the outcome afterwards. A probe that is cancelled reports
    nothing, and another may follow at once, so that a caller with little time does not keep the circuit open.
    """

    def __init__(self, *, failures: int, open_seconds: float, now: Callable[[], float]) -> None:
        self._most_failures = failures
        self._open_seconds = open_seconds
        self._now = now
        self._failures = 0
        self._open_until: float | None = None
        self._probe: Admission | None = None

    @property
    def state(self) -> State:
        """Half open from the time at which it may be tried again."""
        if self._open_until is None:
            return "closed"
        return "half_open" if self._probe or self._now() >= self._open_until else "open"

    @property
    def seconds_left(self) -> float:
        """How long nothing is admitted, unless the probe succeeds before."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - self._now())

    def admit(self) -> "Admission | None":
        """Return the permission to call now, or None. While half open it admits one call at a time."""
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
    """The permission for one call. A call that was admitted before the circuit opened does not change it
    afterwards, and only the first report about a call counts."""

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._is_over = False

    def end(self, *, answered: bool | None = None) -> None:
        """Report whether there was an answer, or nothing if the call was cancelled."""
        if not self._is_over:
            self._is_over = True
            self._breaker._ended(self, answered)


class Circuits:
    """The circuits to the services, one for each tenant, because one tenant's requests to a service must not
    cause another's to be refused."""

    def __init__(
        self, services: Collection[str], *, failures: int, open_seconds: float, now: Callable[[], float]
    ) -> None:
        self._services = frozenset(services)
        self._new = partial(CircuitBreaker, failures=failures, open_seconds=open_seconds, now=now)
        self._circuits: dict[tuple[str, str], CircuitBreaker] = {}

    def to(self, service: str, tenant: str) -> CircuitBreaker | None:
        """Return a tenant's circuit to a service, or None if there is no such service."""
        if service not in self._services:
            return None
        circuit = self._circuits.get((service, tenant))
        if circuit is None:
            if len(self._circuits) >= _MOST_KEPT:
                self._circuits = {key: each for key, each in self._circuits.items() if each.state != "closed"}
            circuit = self._circuits[(service, tenant)] = self._new()
        return circuit

    def states(self) -> dict[str, State]:
        """Return each service, and the worst state of a circuit to it."""
        worst: dict[str, State] = dict.fromkeys(sorted(self._services), "closed")
        for (service, _), circuit in self._circuits.items():
            worst[service] = max(worst[service], circuit.state, key=_WORSE.index)
        return worst
