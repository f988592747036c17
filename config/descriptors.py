"""How many files and connections this process may have open, and what it does when they run out."""

import resource
from contextlib import suppress

import anyio
import structlog

from application.descriptors import none_are_left
from config.sections import Settings
from config.start import CannotStart
from interfaces.rest.places import WAITING_TO_A_PLACE

OWN = 128
"""For the service itself: its stores, the broker, what it calls. It has about 75 open when it begins."""

LOOK_SECONDS = 1.0

_MOST = 1_048_576
"""What to ask for if there is no limit: the most that Linux allows by itself."""

log = structlog.get_logger(__name__)


def take_all_that_may_be_had() -> None:
    """Raise the soft limit to the hard one. The soft limit is for programs that use ``select``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def require_enough(settings: Settings) -> None:
    """Warn if the limit is below what the settings allow at once.

    Raises:
        CannotStart: it is too low for the service alone.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return
    if limit < OWN:
        raise CannotStart(
            f"this process may have {limit} files open (ulimit -n), but needs {OWN} for itself, and one "
            "more for each connection"
        )
    could_need = OWN + _connections(settings)
    if limit < could_need:
        log.warning("few_file_descriptors", limit=limit, could_need=could_need)


async def watch_over_descriptors() -> None:
    """Log once that there are none left, and once that there are some again.

    Nothing else shows this: the event loop silently closes connections that it cannot accept.
    """
    were_left = True
    while True:
        are_left = not none_are_left()
        if were_left and not are_left:
            limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            log.error("file_descriptors_run_out", limit=limit)
        elif are_left and not were_left:
            log.info("file_descriptors_left_again")
        were_left = are_left
        await anyio.sleep(LOOK_SECONDS)


def _connections(settings: Settings) -> int:
    server = settings.server
    waiting = WAITING_TO_A_PLACE * server.max_requests
    return server.max_requests + waiting + server.max_streams + settings.audit.max_exports
