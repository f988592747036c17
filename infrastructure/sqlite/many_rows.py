"""Many rows by few statements.

sqlite3 gives the interpreter's lock away for each step of a statement, and has to get it back from an event
loop that may be at work for milliseconds. ``executemany`` does so for each row, and a transaction for its
begin and its end too.

A statement of several rows that may fail in its middle has a cost within a transaction: SQLite copies each
page first, into a temporary file, so as to undo that statement alone. ``INSERT OR FAIL`` spares it that; the
whole transaction is to be rolled back then.
"""

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

_SIZES = (64, 16, 4, 1)
"""Rows of a statement: a connection keeps prepared what it has carried out, and what was bound to it."""

Statement = tuple[str, Sequence[object]]
"""Its text and its parameters."""

Rows = Sequence[Sequence[object]]
"""They have equally many values."""


def insertion(into: str, rows: Rows, then: str = "") -> Statement:
    """The one statement that puts rows ``INTO`` a table, in their order, and ends with ``then``."""
    return _text(into, len(rows[0]), len(rows), then), list(chain.from_iterable(rows))


def insertions(into: str, rows: Rows, then: str = "") -> list[Statement]:
    """The same by several, of which there are only a few kinds."""
    found = []
    at = 0
    for size in _SIZES:
        while len(rows) - at >= size:
            found.append(insertion(into, rows[at : at + size], then))
            at += size
    return found


def insert(connection: sqlite3.Connection, into: str, rows: Rows, then: str = "") -> None:
    """Carry that out."""
    for statement in insertions(into, rows, then):
        connection.execute(*statement)


@lru_cache(maxsize=256)
def _text(into: str, width: int, rows: int, then: str) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{into} VALUES {', '.join([row] * rows)} {then}".rstrip()
