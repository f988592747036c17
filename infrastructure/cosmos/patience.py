"""More patience than a service has: a copy may take all that an account gives, and wait for more."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from domain.errors import StoreUnavailable

T = TypeVar("T")

_PATIENCE_SECONDS = 120


async def patient(work: Callable[[], Awaitable[T]]) -> T:
    """The result of ``work``, which is safe to repeat, tried for two minutes.

    Raises:
        StoreUnavailable: there was none.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(StoreUnavailable),
        wait=wait_exponential_jitter(multiplier=0.5, max=5, jitter=0.5),
        stop=stop_after_delay(_PATIENCE_SECONDS),
        sleep=anyio.sleep,
        reraise=True,
    )

    async def attempt() -> T:
        return await work()

    return await retrying(attempt)
