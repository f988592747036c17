"""Business time: when so many business hours after a given time have passed."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from domain.errors import BadInput
from domain.faults import Fault

_MOST_IDLE_DAYS = 366
_MOST_DAYS = 36_525
_LAST_DAY = date(9999, 1, 1)
_DAY = timedelta(days=1)


class NoBusinessTime(BadInput):
    """A calendar has no working hours for a year, or not enough of them in a hundred years."""


class Hours(msgspec.Struct, frozen=True):
    """Some hours of a day, by the wall clock. The end is excluded, and ``00:00`` is the end of the day.

    Hours that end no later than they begin continue into the next day, even if that is a holiday. They belong
    to the day on which they begin.
    """

    begin: time
    end: time


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """When a tenant works. ``week`` holds the hours by weekday, Monday as 0, the earliest first."""

    zone: str
    week: Mapping[int, tuple[Hours, ...]]
    holidays: frozenset[date] = frozenset()

    def after(self, start: datetime, seconds: float) -> datetime:
        """Return the time, in UTC, by which so many business seconds have passed since ``start``.

        0 seconds have passed at ``start`` itself, or when work begins next. If the wall clock jumps, the
        seconds that really pass are counted, once each, even if several hours of the calendar contain them.

        Raises:
            NoBusinessTime: there is not so much of it within the calendar's reach.
        """
        told = f"the calendar in {self.zone} does not have that much business time"
        nothing = NoBusinessTime(told, [Fault("policy", told)])
        if seconds > _MOST_DAYS * _DAY.total_seconds() or start.date() >= _LAST_DAY:
            raise nothing
        left = timedelta(seconds=seconds)
        zone = ZoneInfo(self.zone)
        counted = start.astimezone(UTC)
        day = counted.astimezone(zone).date() - _DAY
        last = day + min(_MOST_DAYS * _DAY, _LAST_DAY - day)
        idle_days = 0
        while idle_days <= _MOST_IDLE_DAYS and day < last:
            idle_days += 1
            for begin, end in self._spans(day, zone):
                begin = max(begin, counted)
                if begin >= end:
                    continue
                if left <= end - begin:
                    return begin + left
                left -= end - begin
                counted = end
                idle_days = 0
            day += _DAY
        raise nothing

    def _spans(self, day: date, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
        """Yield a day's working hours in UTC."""
        if day in self.holidays:
            return
        for hours in self.week.get(day.weekday(), ()):
            ends_on = day if hours.end > hours.begin else day + _DAY
            yield (
                _first_shown(datetime.combine(day, hours.begin), zone),
                _first_shown(datetime.combine(ends_on, hours.end), zone),
            )


ALWAYS = Calendar(zone="UTC", week={weekday: (Hours(time(), time()),) for weekday in range(7)})
"""Every hour is a business hour."""


def _first_shown(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when, in UTC, the wall clock first shows that time or a later one. It may jump over it, or
    back."""
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while moment - before > timedelta(seconds=1):
        between = before + timedelta(seconds=(moment - before) // timedelta(seconds=2))
        if between.astimezone(zone).replace(tzinfo=None) < wall:
            before = between
        else:
            moment = between
    return moment
