"""How large what a workflow hands on may be: all of it is stored, and most of it sent."""

from typing import Any

import msgspec

MOST_INPUT_BYTES = 256 * 1024
"""A step's input, as JSON."""

MOST_RESULT_BYTES = 8 * 1024 * 1024
"""The results of a ``map`` step's items together, and those of a workflow."""

LONGEST_ERROR = 2_000
"""Characters of why a step has failed."""


def size_of(value: Any) -> int:
    """Bytes of JSON."""
    return len(msgspec.json.encode(value))


def fault_of_size(what: str, size: int, most: int) -> str | None:
    """What is wrong with something of that size, if anything is."""
    return f"{what}: {size} bytes of JSON; the limit is {most}" if size > most else None


def beginning_of(error: str) -> str:
    """As much of an error as is kept: it may quote what it is about."""
    return error if len(error) <= LONGEST_ERROR else f"{error[:LONGEST_ERROR]}…"
