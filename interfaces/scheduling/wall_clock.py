"""Where the clocks of a time zone change, and which instant a time on the wall is.

Cron speaks of the clock on the wall, the log of instants. They part twice a year, and this is the only
module that deals with it. cronsim's own handling is not used: it is right in Berlin and New York, but it
skips a firing where the clocks move by half an hour (Lord Howe), and asked in the second of two repeated
hours it answers with an instant that is already past.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_STRIDE = timedelta(days=1)
_SECOND = timedelta(seconds=1)


def offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    """What the wall clock is ahead of UTC at an instant."""
    ahead = instant.astimezone(zone).utcoffset()
    assert ahead is not None
    return ahead


def on_the_wall(zone: ZoneInfo, instant: datetime) -> datetime:
    """The naive time that the clock on the wall shows at an instant."""
    return instant.astimezone(zone).replace(tzinfo=None)


def first_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """The first instant after `start`, up to and including `end`, from which another offset holds.

    `zoneinfo` does not tell its transitions, so look a day at a time and halve the day that differs. Two
    changes within one day would be missed; no zone has had that since standard time began.
    """
    before, near = offset(zone, start), start
    while near < end:
        far = min(near + _STRIDE, end)
        if offset(zone, far) != before:
            return _halve(zone, near, far)
        near = far
    return None


def _halve(zone: ZoneInfo, near: datetime, far: datetime) -> datetime:
    before = offset(zone, near)
    low, high = 0, int((far - near) / _SECOND)
    while high - low > 1:
        middle = (low + high) // 2
        if offset(zone, near + middle * _SECOND) == before:
            low = middle
        else:
            high = middle
    return near + high * _SECOND


def instant_of(zone: ZoneInfo, wall: datetime) -> datetime:
    """The one instant of a naive wall time: the first of two, and the change itself for one skipped over."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if on_the_wall(zone, instant) == wall:
        return instant
    earlier = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return first_change(zone, earlier, instant) or instant
