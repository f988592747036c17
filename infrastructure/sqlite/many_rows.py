"""Writes many rows by few statements.

sqlite3 releases the interpreter's lock for each step of a statement, and has to get it back from an event
loop that may be busy for milliseconds. ``executemany`` does so for each row, and a transaction does so also
for its begin and its end.

Within a transaction, a statement of several rows that may fail in its middle has a cost: SQLite first copies
each page into a temporary file, to be able to undo that statement alone. ``INSERT OR FAIL`` avoids that,
unless it updates existing rows; a failure must then roll the whole transaction back.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

_SIZES = (64, 16, 4, 1)
"""The numbers of rows in a statement. A connection keeps its statements prepared, with their last
parameters."""

_LARGEST = 128 * 1024
"""The most bytes in a statement of several rows, if rows are weighed, because its parameters stay in
memory."""

Statement = tuple[str, Sequence[object]]
"""A statement's text and its parameters."""

Row = Sequence[Any]

Rows = Sequence[Row]
"""All rows have the same number of values."""


def insertion(into: str, rows: Rows, then: str = "") -> Statement:
    """Return one statement that inserts rows (``into``), in their order, and ends with ``then``."""
    return _text(into, len(rows[0]), len(rows), then), list(chain.from_iterable(rows))


def insertions(
    into: str, rows: Rows, then: str = "", *, weigh: Callable[[Row], int] | None = None
) -> list[Statement]:
    """Return several statements that do so. They have only a few different sizes. ``weigh`` returns how large
    a row is."""
    found = []
    at = 0
    while at < len(rows):
        some = next(some for size in _SIZES if _go_together(some := rows[at : at + size], size, weigh))
        found.append(insertion(into, some, then))
        at += len(some)
    return found


def insert(connection: sqlite3.Connection, into: str, rows: Rows, then: str = "") -> None:
    """Execute these statements."""
    for statement in insertions(into, rows, then):
        connection.execute(*statement)


def _go_together(rows: Rows, size: int, weigh: Callable[[Row], int] | None) -> bool:
    if len(rows) < size:
        return False
    return size == 1 or weigh is None or sum(map(weigh, rows)) <= _LARGEST


@lru_cache(maxsize=256)
def _text(into: str, width: int, rows: int, then: str) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{into} VALUES {', '.join([row] * rows)} {then}".rstrip()
