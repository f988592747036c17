"""The tables of documents, with their indexes: JSON text under (tenant, id)."""

import re
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial

from projections.ports import Container

Step = Callable[[sqlite3.Connection], None]
"""A part of what is to be done, worth a transaction of its own where others wait to write."""


def execute(statement: str, connection: sqlite3.Connection) -> None:
    """One statement as a step."""
    connection.execute(statement)


def execute_all(statements: Sequence[str], connection: sqlite3.Connection) -> None:
    """Several as one step."""
    for statement in statements:
        connection.execute(statement)


def make_table(connection: sqlite3.Connection, container: Container) -> None:
    """Make the table and the columns that are missing, without an index or what else makes writes slow."""
    name = container.name
    connection.execute(
        f'CREATE TABLE IF NOT EXISTS "{name}"'
        " (tenant TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL,"
        " PRIMARY KEY (tenant, id))"
    )
    columns = {row[1] for row in connection.execute(f'PRAGMA table_xinfo("{name}")')}
    for field in container.below_fields:
        if f"$.{field}" not in columns:
            text = f"CASE WHEN json_type(body, '$.{field}') = 'text' THEN {_extracted(field)} END"
            value = f"GENERATED ALWAYS AS ({text}) VIRTUAL"
            connection.execute(f'ALTER TABLE "{name}" ADD COLUMN {column_of(field)} {value}')


def keep_table(connection: sqlite3.Connection, container: Container) -> None:
    """Make the table and what it lacks. An index that is there, and is another, is made anew."""
    make_table(connection, container)
    for step in steps_to_indexes(connection, container):
        step(connection)


def steps_to_indexes(connection: sqlite3.Connection, container: Container) -> list[Step]:
    """What is missing is made, what is there and is another is made anew; a step an index."""
    name, known = container.name, _known_indexes(connection, container.name)
    steps: list[Step] = []
    for kind, wanted in _indexes(container).items():
        index, there = known.get(kind, (f"{name}_{kind}", ""))
        if there != wanted:
            made_anew = f'CREATE INDEX "{name}_{kind}" ON "{name}" {wanted}'
            steps.append(partial(execute_all, [f'DROP INDEX IF EXISTS "{index}"', made_anew]))
    return steps


def triggers_named(connection: sqlite3.Connection, beginning: str) -> dict[str, str]:
    """The triggers whose names begin so, with their texts."""
    select = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, ?) = ?"
    return dict(connection.execute(select, [len(beginning), beginning]))


def column_of(field: str) -> str:
    """The column of a field that has one, beside documents or the rows of lists."""
    return f'"$.{field}"'


def in_document(field: str) -> str:
    """A field in the row of a ``document``, written as the indexes have it."""
    return f"json_extract(document.body, '$.{field}')"


def _known_indexes(connection: sqlite3.Connection, table: str) -> dict[str, tuple[str, str]]:
    """Ours, by kind: name and columns. SQLite cannot give an index another name, so that of a table which was
    built beside another keeps its generation in its name."""
    known = {}
    select = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
    for name, sql in connection.execute(select, [table]):
        if match := re.fullmatch(rf"{re.escape(table)}(?:--\d+)?_(.+)", name):
            known[match[1]] = (name, sql[sql.index("(") :])
    return known


def _indexes(container: Container) -> dict[str, str]:
    """The columns of each index, by its kind: one for each order.

    At their ends are the fields that are asked for by less, which an index gives only if they are columns,
    from SQLite 3.45 on only such as are no plain ``json_extract``: whoever is late among all that wait is
    found without a look at any document. Columns that an earlier release has made are left as they are.
    """
    sort = _extracted(container.sort_field)
    filters = [*((field,) for field in container.filter_fields), *container.filters_together]
    wanted = {"newest": ()} | {"_".join(fields): fields for fields in filters}
    end = [sort, "id", *map(column_of, container.below_fields)]
    return {
        kind: f"({', '.join(['tenant', *map(_extracted, fields), *end])})" for kind, fields in wanted.items()
    }


def _extracted(field: str) -> str:
    return f"json_extract(body, '$.{field}')"
