"""The system's clock."""

from datetime import UTC, datetime


class SystemClock:
    """Wall-clock time, truncated to whole milliseconds, as documents and messages show it."""

    def now(self) -> datetime:
        """Return the present time in UTC."""
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
