"""Time as a tenant works: so many business hours after a moment is when?"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

_MOST_IDLE_DAYS = 366
_LAST_DAY = date(9999, 1, 1)


class NoBusinessTime(ValueError):
    """A calendar has no time to work in for a year."""


class Hours(msgspec.Struct, frozen=True):
    """Some hours of a day, by the wall clock; the end is excluded, and ``00:00`` is the end of the day."""

    begin: time
    end: time


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """When a tenant works. ``week`` holds hours by weekday, Monday as 0, the earliest first."""

    zone: str
    week: Mapping[int, tuple[Hours, ...]]
    holidays: frozenset[date] = frozenset()

    def after(self, start: datetime, seconds: float) -> datetime:
        """The moment, in UTC, by which so many business seconds have passed since ``start``.

        None have passed at ``start`` itself, or when work begins next. Where the wall clock jumps, the
        seconds that really pass are counted.

        Raises:
            NoBusinessTime: there is not so much of it within the calendar's reach.
        """
        left = timedelta(seconds=seconds)
        zone = ZoneInfo(self.zone)
        day = start.astimezone(zone).date()
        idle_days = 0
        while idle_days <= _MOST_IDLE_DAYS and day < _LAST_DAY:
            idle_days += 1
            for begin, end in self._spans(day, zone):
                begin = max(begin, start)
                if begin >= end:
                    continue
                if begin + left <= end:
                    return begin + left
                left -= end - begin
                idle_days = 0
            day += timedelta(days=1)
        raise NoBusinessTime(f"the calendar in {self.zone} has no business time for a year")

    def _spans(self, day: date, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
        """A day's working hours in UTC."""
        if day in self.holidays:
            return
        for hours in self.week.get(day.weekday(), ()):
            ends_on = day if hours.end > hours.begin else day + timedelta(days=1)
            yield (
                datetime.combine(day, hours.begin, zone).astimezone(UTC),
                datetime.combine(ends_on, hours.end, zone).astimezone(UTC),
            )


ALWAYS = Calendar(zone="UTC", week={weekday: (Hours(time(), time()),) for weekday in range(7)})
"""Every hour is a business hour."""
