"""The tables of documents, with their indexes: JSON text under (tenant, id)."""

import sqlite3

from projections.ports import Container


def keep_table(connection: sqlite3.Connection, container: Container) -> None:
    """Make the table and what it lacks. An index that is there, and is another, is made anew."""
    name = container.name
    connection.execute(
        f'CREATE TABLE IF NOT EXISTS "{name}"'
        " (tenant TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL,"
        " PRIMARY KEY (tenant, id))"
    )
    columns = {row[1] for row in connection.execute(f'PRAGMA table_xinfo("{name}")')}
    for field in container.below_fields:
        if f"$.{field}" not in columns:
            value = f"GENERATED ALWAYS AS (json_extract(body, '$.{field}')) VIRTUAL"
            connection.execute(f'ALTER TABLE "{name}" ADD COLUMN {column_of(field)} {value}')
    select = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?"
    known = dict(connection.execute(select, [name]))
    for index, statement in _indexes(container).items():
        if known.get(index) != statement:
            connection.execute(f'DROP INDEX IF EXISTS "{index}"')
            connection.execute(statement)


def column_of(field: str) -> str:
    """The column of a field that has one, beside documents or the rows of lists."""
    return f'"$.{field}"'


def in_document(field: str) -> str:
    """A field in the row of a ``document``, written as the indexes have it."""
    return f"json_extract(document.body, '$.{field}')"


def _indexes(container: Container) -> dict[str, str]:
    """One for each order.

    At their ends are the fields that are asked for by less, which an index gives only if they are columns:
    whoever is late among all that wait is found without a look at any document.
    """
    name, sort = container.name, _extracted(container.sort_field)
    filters = [*((field,) for field in container.filter_fields), *container.filters_together]
    wanted = {"newest": ()} | {"_".join(fields): fields for fields in filters}
    end = [sort, "id", *map(column_of, container.below_fields)]
    return {
        f"{name}_{kind}": f'CREATE INDEX "{name}_{kind}" ON "{name}"'
        f" ({', '.join(['tenant', *map(_extracted, fields), *end])})"
        for kind, fields in wanted.items()
    }


def _extracted(field: str) -> str:
    return f"json_extract(body, '$.{field}')"
