"""What goes on beside all else for as long as the service does, whatever fails in it.

It shares the service's task group: an error that came out of it would end the service, over what costs some
latency. So no error does, and who goes on with it decides when to try again.
"""

from collections.abc import Awaitable, Callable

import structlog

from domain.errors import Failure

log = structlog.get_logger(__name__)


class Supervised:
    """Work that is tried again and again; ``what`` names it in the log.

    A kind of failure is told once until the work goes on, which is told too. One that is none of ours comes
    with its traceback: nobody has thought of it.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._told: type[Exception] | None = None

    @property
    def is_failing(self) -> bool:
        """Whether it has failed and not gone on since."""
        return self._told is not None

    async def has_done(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Try it; whether it came to its end."""
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
        """It goes on: for work that comes to no end while all is well."""
        if self.is_failing:
            log.info("goes_on", what=self._what)
        self._told = None
