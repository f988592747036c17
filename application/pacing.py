"""How fast a tenant's messages may start workflows: one tenant's flood is none to the others."""

from datetime import datetime, timedelta

_MOST_TENANTS = 10_000


class StartPace:
    """Each tenant's next place in time: ``per_second`` starts a second, after ``burst`` of them at once.

    It holds for this process and is forgotten with it: what was given a place keeps it, in the log.
    """

    def __init__(self, per_second: float, *, burst: int) -> None:
        self._apart = timedelta(seconds=1 / per_second)
        self._ahead = burst * self._apart
        self._booked_until: dict[str, datetime] = {}

    def next(self, tenant: str, now: datetime) -> datetime:
        """When the tenant's next start may be: now, or later."""
        return max(now, self._booked_until.get(tenant, now) - self._ahead)

    def take(self, tenant: str, now: datetime) -> None:
        """That place is taken."""
        self._booked_until[tenant] = max(now, self._booked_until.get(tenant, now)) + self._apart
        if len(self._booked_until) > _MOST_TENANTS:
            self._booked_until = {each: until for each, until in self._booked_until.items() if until > now}
