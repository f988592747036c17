"""Time zones, by the names that people write."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from domain.suggestions import did_you_mean


def require_time_zone(name: str) -> str:
    """The name of a zone that there is.

    Raises:
        ValueError: there is none of that name; with the one that may have been meant.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("there is no such time zone" + did_you_mean(name, available_timezones())) from None
    return name
