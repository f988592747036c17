"""Who is told of each call to Cosmos DB, and what it was charged: every try of it counts."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Observe = Callable[[str, str, float, float], None]
"""Told of every call: container, operation, request units charged, seconds, all tries together. From any
thread."""

_charged: ContextVar[list[float]] = ContextVar("charged")


def unobserved(container: str, operation: str, charge: float, seconds: float) -> None:
    """For a command that ends: nobody reads its metrics."""


@contextmanager
def told(observe: Observe, container: str, operation: str) -> Iterator[None]:
    """Tell of the block as of one call, whether it fails or not."""
    charges: list[float] = []
    token = _charged.set(charges)
    began = time.perf_counter()
    try:
        yield
    finally:
        _charged.reset(token)
        observe(container, operation, sum(charges), time.perf_counter() - began)


def note_charge(response: Any) -> None:
    """Called by the SDK with every answer, also with those that it asks again after."""
    charges = _charged.get(None)
    if charges is not None:
        charges.append(float(response.http_response.headers.get("x-ms-request-charge") or 0))
