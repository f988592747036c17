"""Many rows by one statement.

sqlite3 gives the interpreter's lock away for each step of a statement, and has to get it back from an event
loop that may be at work for milliseconds. ``executemany`` does so for each row, and a transaction for its
begin and its end too. One statement is a transaction by itself.
"""

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

_MOST_VALUES = 32_766
"""SQLite's bound on the parameters of a statement, since 3.32."""

Statement = tuple[str, Sequence[object]]
"""Its text and its parameters."""


def insertions(into: str, rows: Sequence[Sequence[object]], then: str = "") -> list[Statement]:
    """As few statements as can hold them that put rows of equally many values ``INTO`` a table, in their
    order; ``then`` ends each statement."""
    if not rows:
        return []
    width = len(rows[0])
    most = _MOST_VALUES // width
    parts = [rows[at : at + most] for at in range(0, len(rows), most)]
    return [(_text(into, width, len(part), then), list(chain.from_iterable(part))) for part in parts]


def insert(
    connection: sqlite3.Connection, into: str, rows: Sequence[Sequence[object]], then: str = ""
) -> None:
    """The same, done: one part of a transaction."""
    for statement in insertions(into, rows, then):
        connection.execute(*statement)


@lru_cache(maxsize=512)
def _text(into: str, width: int, rows: int, then: str) -> str:
    row = f"({', '.join('?' * width)})"
    return f"{into} VALUES {', '.join([row] * rows)} {then}".rstrip()
