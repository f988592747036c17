"""Where the clocks of a time zone change, and which instant a wall-clock time is.

Cron uses the wall clock, the log uses instants. They differ twice a year, and only this module handles that.
cronsim's own handling is not used: it is right in Berlin and New York, but it skips a firing where the clocks
move by half an hour (Lord Howe), and if asked in the second of two repeated hours it returns an instant that
has already passed.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_STRIDE = timedelta(days=1)
_SECOND = timedelta(seconds=1)


def offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    """Return how far the wall clock is ahead of UTC at an instant."""
    ahead = instant.astimezone(zone).utcoffset()
    assert ahead is not None
    return ahead


def on_the_wall(zone: ZoneInfo, instant: datetime) -> datetime:
    """Return the naive time that the wall clock shows at an instant."""
    return instant.astimezone(zone).replace(tzinfo=None)


def first_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """Return the first instant after `start`, up to and including `end`, from which another offset holds.

    `zoneinfo` does not list its transitions, so this checks a day at a time and halves the day that differs.
    Two changes within one day would be missed; no zone has had that since standard time began.
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
    """Return the one instant of a naive wall time: the first of two, or the change itself for a time that is
    skipped."""
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if on_the_wall(zone, instant) == wall:
        return instant
    earlier = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return first_change(zone, earlier, instant) or instant
