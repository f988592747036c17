"""Retries for longer than a service does. A copy may use all the capacity of an account, and wait for
more."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from domain.errors import StoreUnavailable

T = TypeVar("T")

_PATIENCE_SECONDS = 120


async def patient(work: Callable[[], Awaitable[T]]) -> T:
    """Return the result of ``work``, which must be safe to repeat. It is tried for two minutes.

    Raises:
        StoreUnavailable: there was no result.
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
