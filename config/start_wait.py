"""Waits for a store that is away at a start."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential_jitter,
)

from config.start import first_line

T = TypeVar("T")

log = structlog.get_logger(__name__)


async def once_it_is_there(
    store: str, work: Callable[[], Awaitable[T]], *, away: type[Exception], seconds: float
) -> T:
    """Return the result of ``work``, retried for so many seconds while it fails with ``away``. ``store``
    names in the log what is waited for.

    Raises:
        away: it failed until the end.
    """

    def note(state: RetryCallState) -> None:
        log.warning(
            "store_away",
            store=store,
            attempt=state.attempt_number,
            waited_seconds=round(state.seconds_since_start or 0.0, 1),
            gives_up_after_seconds=seconds,
            error=first_line(state.outcome.exception() if state.outcome else None),
        )

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(away),
        stop=stop_after_delay(seconds),
        wait=wait_exponential_jitter(multiplier=0.5, max=5, jitter=0.5),
        before_sleep=note,
        reraise=True,
    )
    return await retrying(work)
