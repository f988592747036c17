"""How fast a tenant's messages may start workflows, so that one tenant's flood does not affect the others."""

from datetime import datetime, timedelta

_MOST_TENANTS = 10_000
_SET_BACK = timedelta(seconds=10)
"""Concurrent commands may ask in another order than that of their times, but their times do not differ by
this much."""


class StartPace:
    """Each tenant's next place in time: ``per_second`` starts a second, after ``burst`` starts at once.

    It applies to this process and is forgotten with it. A start that was given a place keeps it, in the log.
    """

    def __init__(self, per_second: float, *, burst: int) -> None:
        self._apart = timedelta(seconds=1 / per_second)
        self._ahead = burst * self._apart
        self._booked_until: dict[str, datetime] = {}
        self._latest: datetime | None = None

    def next(self, tenant: str, now: datetime) -> datetime:
        """Return when the tenant's next start may be: now, or later."""
        self._give_up_places_of_a_false_clock(now)
        return max(now, self._booked_until.get(tenant, now) - self._ahead)

    def take(self, tenant: str, now: datetime) -> None:
        """Note that this place is taken."""
        self._give_up_places_of_a_false_clock(now)
        self._booked_until[tenant] = max(now, self._booked_until.get(tenant, now)) + self._apart
        if len(self._booked_until) > _MOST_TENANTS:
            self._booked_until = {each: until for each, until in self._booked_until.items() if until > now}

    def _give_up_places_of_a_false_clock(self, now: datetime) -> None:
        """Forget places of a clock that was hours ahead, once it is right: they would hold everybody back for
        as long."""
        if self._latest is not None and now < self._latest - _SET_BACK:
            self._booked_until.clear()
            self._latest = None
        self._latest = now if self._latest is None else max(self._latest, now)
