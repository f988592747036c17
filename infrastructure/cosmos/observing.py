"""Who is told of each call to Cosmos DB."""

from collections.abc import Callable

Observe = Callable[[str, str, float, float], None]
"""Told of every call: container, operation, request units charged, seconds, all tries together."""
