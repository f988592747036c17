"""Limits on the size of what a workflow passes on. All of it is stored, and most of it is sent."""

from typing import Any

import msgspec

MOST_INPUT_BYTES = 256 * 1024
"""The largest input of a step, as JSON."""

MOST_RESULT_BYTES = 8 * 1024 * 1024
"""The largest results of a ``map`` step's items together, and of a workflow."""

LONGEST_ERROR = 2_000
"""The most characters of why a step has failed."""


def size_of(value: Any) -> int:
    """Return the size of a value as JSON, in bytes."""
    return len(msgspec.json.encode(value))


def fault_of_size(what: str, size: int, most: int) -> str | None:
    """Return what is wrong with something of that size, if anything is."""
    return f"{what}: {size} bytes of JSON; the limit is {most}" if size > most else None


def beginning_of(error: str) -> str:
    """Return as much of an error as is stored. It may quote what it is about."""
    return error if len(error) <= LONGEST_ERROR else f"{error[:LONGEST_ERROR]}…"
