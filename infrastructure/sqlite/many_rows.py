"""Many rows by few statements.

sqlite3 gives the interpreter's lock away for each step of a statement, and has to get it back from an event
loop that may be at work for milliseconds. ``executemany`` does so for each row, and a transaction for its
begin and its end too.

A statement of several rows that may fail in its middle has a cost within a transaction: SQLite copies each
page first, into a temporary file, so as to undo that statement alone. ``INSERT OR FAIL`` spares it that,
unless it is to update what is there; the whole transaction is to be rolled back then.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

_SIZES = (64, 16, 4, 1)
"""Rows of a statement: a connection keeps prepared what it has carried out, and what was bound to it."""

_LARGEST = 128 * 1024
"""Of a statement of several rows, where somebody weighs them: what was bound to it stays with it."""

Statement = tuple[str, Sequence[object]]
"""Its text and its parameters."""

Row = Sequence[Any]

Rows = Sequence[Row]
"""They have equally many values."""


def insertion(into: str, rows: Rows, then: str = "") -> Statement:
    """The one statement that puts rows ``INTO`` a table, in their order, and ends with ``then``."""
    return _text(into, len(rows[0]), len(rows), then), list(chain.from_iterable(rows))


def insertions(
    into: str, rows: Rows, then: str = "", *, weigh: Callable[[Row], int] | None = None
) -> list[Statement]:
    """The same by several, of which there are only a few kinds; ``weigh`` tells how large a row is."""
    found = []
    at = 0
    while at < len(rows):
        some = next(some for size in _SIZES if _go_together(some := rows[at : at + size], size, weigh))
        found.append(insertion(into, some, then))
        at += len(some)
    return found


def insert(connection: sqlite3.Connection, into: str, rows: Rows, then: str = "") -> None:
    """Carry that out."""
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
