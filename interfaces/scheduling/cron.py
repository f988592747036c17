"""When a job is due: cron as Unix means it, in a time zone.

Sunday is 0 and 7, which is not what APScheduler's own cron trigger makes of it (it counts from Monday, and
would fire the platform's Sunday jobs on a Monday). When the clocks change, the rule is Debian cron's:

- a job at fixed times (neither minute nor hour starts with `*`) fires once a nominal time: at the first of
  two repeated hours, and at the change when its time is skipped over;
- a job of wildcards (`0 * * * *`, `*/15 2 * * *`) fires whenever the wall clock matches: in both of two
  repeated hours, and not at all at times that the wall clock never shows.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim

from domain.job import JobDefinition
from interfaces.scheduling.fields import DAY_OF_MONTH, FIELDS, MONTH, BadField
from interfaces.scheduling.wall_clock import first_change, instant_of, offset, on_the_wall

_LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
_SECOND = timedelta(seconds=1)
_END_OF_TIME = datetime(9999, 12, 30, tzinfo=UTC)
"""A delay can be added to any time before this."""


class InvalidCron(ValueError):
    """An expression that is not Unix cron, or that would never fire.

    `reason` does not contain the expression, for messages that show the expression already.
    """

    def __init__(self, expression: str, reason: str) -> None:
        super().__init__(f'"{expression}" is not a Unix cron expression: {reason}')
        self.expression = expression
        self.reason = reason


class UnixCron:
    """The firings of one expression in one time zone. It is immutable, and has no position of its own."""

    def __init__(self, expression: str, time_zone: ZoneInfo) -> None:
        """Read the expression.

        Raises:
            InvalidCron: it is not Unix cron, or never fires. This is better found now than at night.
        """
        self.expression = expression
        self.time_zone = time_zone
        parts = _checked_parts(expression)
        self._cronsim = " ".join(parts)
        self._of_wildcards = parts[0].startswith("*") or parts[1].startswith("*")

    def __repr__(self) -> str:
        return f"UnixCron({self.expression!r}, {self.time_zone.key!r})"

    def next_after(self, moment: datetime) -> datetime:
        """Return the first firing strictly after an aware time, in UTC.

        Raises:
            ValueError: the time is naive.
            OverflowError: time ends before, in 9999.
        """
        if moment.tzinfo is None:
            raise ValueError(f"a moment must carry its time zone: {moment.isoformat()}")
        moment = moment.astimezone(UTC)
        return self._next_by_wildcards(moment) if self._of_wildcards else self._next_fixed(moment)

    def upcoming(self, moment: datetime, count: int) -> tuple[datetime, ...]:
        """Return the next `count` firings strictly after an aware time, in UTC; fewer if time ends before, in
        9999.

        Raises:
            ValueError: the time is naive.
        """
        return tuple(islice(self._after(moment), count))

    def _after(self, moment: datetime) -> Iterator[datetime]:
        while True:
            try:
                moment = self.next_after(moment)
            except OverflowError:
                return
            if moment >= _END_OF_TIME:
                return
            yield moment

    def _next_fixed(self, moment: datetime) -> datetime:
        walls = CronSim(self._cronsim, on_the_wall(self.time_zone, moment))
        instants = (instant_of(self.time_zone, wall) for wall in walls)
        return next(instant for instant in instants if instant > moment)

    def _next_by_wildcards(self, moment: datetime) -> datetime:
        """Search between two clock changes, where the wall clock runs evenly, and continue after the next
        change if necessary."""
        earliest = moment.replace(microsecond=0) + _SECOND
        while True:
            ahead = offset(self.time_zone, earliest)
            wall = on_the_wall(self.time_zone, earliest)
            due = (next(CronSim(self._cronsim, wall - _SECOND)) - ahead).replace(tzinfo=UTC)
            change = first_change(self.time_zone, earliest, due)
            if change is None:
                return due
            earliest = change


def schedule_of(definition: JobDefinition) -> UnixCron:
    """Return a job's schedule."""
    return UnixCron(definition.schedule.cron, ZoneInfo(definition.schedule.time_zone))


def _checked_parts(expression: str) -> list[str]:
    """Return the five fields in canonical form."""
    if expression.strip().startswith("@"):
        raise InvalidCron(expression, "nicknames such as @daily are not supported; write the five fields")
    parts = expression.split()
    if len(parts) != len(FIELDS):
        names = " ".join(field.name for field in FIELDS)
        raise InvalidCron(expression, f"it has {len(parts)} fields and must have five: {names}")
    try:
        canonical = [field.canonical(part) for field, part in zip(FIELDS, parts, strict=True)]
    except BadField as fault:
        raise InvalidCron(expression, str(fault)) from None
    _refuse_what_never_fires(expression, parts)
    return canonical


def _refuse_what_never_fires(expression: str, parts: list[str]) -> None:
    """Refuse dates such as 30 February. If both day fields are given, either may match, and some weekday
    always does."""
    days, months = DAY_OF_MONTH.values(parts[2]), MONTH.values(parts[3])
    either_day_is_a_star = parts[2].startswith("*") or parts[4].startswith("*")
    if either_day_is_a_star and min(days) > max(_LONGEST.get(month, 31) for month in months):
        raise InvalidCron(expression, f"it never fires: no such month has a day {min(days)}")
