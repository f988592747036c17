"""Which generation of a container is live in a file, and which one is being built beside it.

The live one has the container's own name, the others are called ``<name>--<generation>``. SQLite can rename
tables within a transaction, so the next generation replaces the live one at once, and no reader needs to know
about generations.
"""

import re
import sqlite3

import msgspec

from infrastructure.sqlite.counts import count_triggers
from infrastructure.sqlite.lists import list_triggers
from projections.building import Progress
from projections.ports import Container

_PARTS = ("", "_lists", "_counts", "_held")
"""The suffixes of the tables of one generation."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS generations (container TEXT PRIMARY KEY, generation INTEGER NOT NULL)"
    " WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS builds (container TEXT PRIMARY KEY, generation INTEGER NOT NULL,"
    " recipe TEXT NOT NULL, progress TEXT) WITHOUT ROWID",
)


class Build(msgspec.Struct, frozen=True):
    """What is being built of a container, and how far it has come if anything was written."""

    table: str
    generation: int
    progress: Progress | None


def keep_generations(connection: sqlite3.Connection) -> None:
    """Create the tables if they are missing."""
    for statement in _SCHEMA:
        connection.execute(statement)


def live_generation(connection: sqlite3.Connection, container: str) -> int:
    """Return the number of the live generation. The first is 1."""
    row = connection.execute("SELECT generation FROM generations WHERE container = ?", [container]).fetchone()
    return row[0] if row else 1


def build_of(connection: sqlite3.Connection, container: Container, recipe: str) -> Build:
    """Return the unfinished build by ``recipe``, or a new one."""
    row = connection.execute(
        "SELECT generation, progress FROM builds WHERE container = ? AND recipe = ?", (container.name, recipe)
    ).fetchone()
    if row is None:
        row = (live_generation(connection, container.name) + 1, None)
        connection.execute(
            "INSERT OR REPLACE INTO builds (container, generation, recipe) VALUES (?, ?, ?)",
            (container.name, row[0], recipe),
        )
    progress = None if row[1] is None else msgspec.json.decode(row[1], type=Progress)
    return Build(f"{container.name}--{row[0]}", row[0], progress)


def builds(connection: sqlite3.Connection) -> dict[str, Build]:
    """Return what is being built, or was left unfinished."""
    rows = connection.execute("SELECT container, generation, progress FROM builds").fetchall()
    return {
        name: Build(
            f"{name}--{generation}",
            generation,
            None if progress is None else msgspec.json.decode(progress, type=Progress),
        )
        for name, generation, progress in rows
    }


def note_build(connection: sqlite3.Connection, container: str, progress: Progress) -> None:
    """Note how far a build has come."""
    connection.execute(
        "UPDATE builds SET progress = ? WHERE container = ?",
        (msgspec.json.encode(progress).decode(), container),
    )


def forget_build(connection: sqlite3.Connection, container: Container) -> None:
    """Note that nobody continues a build."""
    connection.execute("DELETE FROM builds WHERE container = ?", [container.name])


def make_live(connection: sqlite3.Connection, container: Container, built: str) -> None:
    """Give the container's name to what was built, and its generation's name to what had that name before.

    Triggers are created again instead of renamed, because their texts show whether they are as they should
    be.
    """
    live, generation = container.name, live_generation(connection, container.name)
    for table in (live, built):
        select = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?"
        for (trigger,) in connection.execute(select, [table]).fetchall():
            connection.execute(f'DROP TRIGGER "{trigger}"')
    for old, new in ((live, f"{live}--{generation}"), (built, live)):
        for part in _PARTS:
            if _is_there(connection, f"{old}{part}"):
                connection.execute(f'ALTER TABLE "{old}{part}" RENAME TO "{new}{part}"')
    for trigger in (count_triggers(container) | list_triggers(container)).values():
        connection.execute(trigger)
    connection.execute(
        "INSERT OR REPLACE INTO generations (container, generation) VALUES (?, ?)", (live, generation + 1)
    )
    forget_build(connection, container)


def leftovers(connection: sqlite3.Connection, container: Container, recipe: str) -> list[str]:
    """Return the statements that drop all generations except the live one and the one built by ``recipe``."""
    keep_generations(connection)
    row = connection.execute(
        "SELECT generation FROM builds WHERE container = ? AND recipe = ?", (container.name, recipe)
    ).fetchone()
    of_generation = re.compile(rf"{re.escape(container.name)}--(\d+)(?:{'|'.join(_PARTS)})")
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    found = [(name, of_generation.fullmatch(name)) for (name,) in tables]
    return [
        f'DROP TABLE "{name}"' for name, match in found if match and (row is None or int(match[1]) != row[0])
    ]


def _is_there(connection: sqlite3.Connection, table: str) -> bool:
    select = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(select, [table]).fetchone() is not None
