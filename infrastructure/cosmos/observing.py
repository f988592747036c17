"""Reports each call to Cosmos DB and what it was charged. Every try of a call counts."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Observe = Callable[[str, str, float, float], None]
"""Called for every call with the container, the operation, the request units charged, and the seconds of all
tries together. It may be called from any thread."""

_charged: ContextVar[list[float]] = ContextVar("charged")


def unobserved(container: str, operation: str, charge: float, seconds: float) -> None:
    """Ignore a call. Commands use this, because nobody reads their metrics."""


@contextmanager
def told(observe: Observe, container: str, operation: str) -> Iterator[None]:
    """Report the block as one call, whether it fails or not."""
    charges: list[float] = []
    token = _charged.set(charges)
    began = time.perf_counter()
    try:
        yield
    finally:
        _charged.reset(token)
        observe(container, operation, sum(charges), time.perf_counter() - began)


def note_charge(response: Any) -> None:
    """Add the charge of an answer. The SDK calls this for every answer, also for those that it retries."""
    charges = _charged.get(None)
    if charges is not None:
        charges.append(float(response.http_response.headers.get("x-ms-request-charge") or 0))
