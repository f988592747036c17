"""The service with a cron that does not take years to fire a thousand times.

``python -m tests.chaos.fast_cron serve``; ``FAST_CRON_FROM`` and ``FAST_CRON_UNTIL`` (milliseconds since
1970) are the first and the last nominal time of one job, ``FAST_CRON_STEP`` is what lies between two. The
others never fire.
"""

import os
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from config import foundation, main
from domain.job import JobDefinition

JOB = "propagation"

_EPOCH = datetime.fromtimestamp(0, UTC)
_NEVER = datetime(2999, 1, 1, tzinfo=UTC)


def _from_environment(name: str) -> timedelta:
    return timedelta(milliseconds=int(os.environ[name]))


class FastCron:
    """In the place of a cron expression."""

    expression = "fast"
    time_zone = ZoneInfo("UTC")

    def __init__(self, first: datetime, last: datetime, step: timedelta) -> None:
        self._first = first
        self._last = last
        self._step = step

    def next_after(self, moment: datetime) -> datetime:
        """The first nominal time after a moment."""
        if moment < self._first:
            return self._first
        following = self._first + ((moment - self._first) // self._step + 1) * self._step
        return following if following <= self._last else _NEVER

    def upcoming(self, moment: datetime, count: int) -> tuple[datetime, ...]:
        """The next nominal times after a moment."""
        found: list[datetime] = []
        for _ in range(count):
            moment = self.next_after(moment)
            found.append(moment)
        return tuple(found)


def fast(definition: JobDefinition) -> FastCron:
    """The schedule of a job."""
    if definition.name != JOB:
        return FastCron(_NEVER, _NEVER, timedelta(days=1))
    first, last = (_EPOCH + _from_environment(f"FAST_CRON_{end}") for end in ("FROM", "UNTIL"))
    return FastCron(first, last, _from_environment("FAST_CRON_STEP"))


if __name__ == "__main__":
    vars(foundation)["schedule_of"] = fast
    main.main()
