"""The tables of documents, with their indexes: JSON text under (tenant, id)."""

import re
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial

from projections.ports import Container

Step = Callable[[sqlite3.Connection], None]
"""A part of a change, in its own transaction if other writers wait."""


def execute(statement: str, connection: sqlite3.Connection) -> None:
    """Execute one statement, as a step."""
    connection.execute(statement)


def execute_all(statements: Sequence[str], connection: sqlite3.Connection) -> None:
    """Execute several statements as one step."""
    for statement in statements:
        connection.execute(statement)


def make_table(connection: sqlite3.Connection, container: Container) -> None:
    """Create the table and its missing columns, without indexes or anything else that makes writes slow."""
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
    """Create the table and what it lacks. An index that differs from the wanted one is created again."""
    make_table(connection, container)
    for step in steps_to_indexes(connection, container):
        step(connection)


def steps_to_indexes(connection: sqlite3.Connection, container: Container) -> list[Step]:
    """Return one step for each index that is missing or differs."""
    name, known = container.name, _known_indexes(connection, container.name)
    steps: list[Step] = []
    for kind, wanted in _indexes(container).items():
        index, there = known.get(kind, (f"{name}_{kind}", ""))
        if there != wanted:
            made_anew = f'CREATE INDEX "{name}_{kind}" ON "{name}" {wanted}'
            steps.append(partial(execute_all, [f'DROP INDEX IF EXISTS "{index}"', made_anew]))
    return steps


def triggers_named(connection: sqlite3.Connection, beginning: str) -> dict[str, str]:
    """Return the triggers whose names begin so, with their texts."""
    select = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, ?) = ?"
    return dict(connection.execute(select, [len(beginning), beginning]))


def column_of(field: str) -> str:
    """Return the name of a field's column, in documents or in the rows of lists."""
    return f'"$.{field}"'


def in_document(field: str) -> str:
    """Return the expression for a field in the row of a ``document``, exactly as the indexes have it."""
    return f"json_extract(document.body, '$.{field}')"


def _known_indexes(connection: sqlite3.Connection, table: str) -> dict[str, tuple[str, str]]:
    """Return the names and columns of our indexes, by kind. SQLite cannot rename an index, so the index of a
    table that was built beside another keeps the generation in its name."""
    known = {}
    select = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
    for name, sql in connection.execute(select, [table]):
        if match := re.fullmatch(rf"{re.escape(table)}(?:--\d+)?_(.+)", name):
            known[match[1]] = (name, sql[sql.index("(") :])
    return known


def _indexes(container: Container) -> dict[str, str]:
    """Return the columns of each index, by its kind. Each order has one index.

    The last columns are the fields that a query compares by "less than". An index can answer these only if
    they are columns, from SQLite 3.45 on only if they are no plain ``json_extract``. So what is overdue among
    everything that waits is found without reading a document. Columns that an earlier release has created are
    left as they are.
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
