"""Checks the names of time zones."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from domain.suggestions import did_you_mean


def require_time_zone(name: str) -> str:
    """Return the name of a time zone, if it exists.

    Raises:
        ValueError: it does not exist. The message suggests a similar name.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("there is no such time zone" + did_you_mean(name, available_timezones())) from None
    return name
