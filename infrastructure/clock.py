"""The system's clock."""

from datetime import UTC, datetime


class SystemClock:
    """Wall-clock time, cut to the whole milliseconds that documents and messages show."""

    def now(self) -> datetime:
        """The present moment in UTC."""
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
