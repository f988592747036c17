"""Work that continues beside everything else as long as the service runs, whatever fails in it.

It shares the service's task group, so an error that escaped would end the service for what only costs some
latency. So no error escapes, and the caller decides when to try again.
"""

from collections.abc import Awaitable, Callable

import structlog

from domain.errors import Failure

log = structlog.get_logger(__name__)


class Supervised:
    """Work that is tried again and again. ``what`` names it in the log.

    A kind of failure is logged once until the work continues, which is logged too. An unexpected kind is
    logged with its traceback.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._told: type[Exception] | None = None

    @property
    def is_failing(self) -> bool:
        """Whether the work has failed and not continued since."""
        return self._told is not None

    async def has_done(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Try the work, and return whether it completed."""
        try:
            await work()
        except Exception as error:
            if type(error) is not self._told:
                tell = log.warning if isinstance(error, Failure) else log.exception
                tell("interrupted", what=self._what, error=f"{type(error).__name__}: {error}")
            self._told = type(error)
            return False
        self.note_progress()
        return True

    def note_progress(self) -> None:
        """Note that the work continues. This is for work that does not complete while all is well."""
        if self.is_failing:
            log.info("goes_on", what=self._what)
        self._told = None
