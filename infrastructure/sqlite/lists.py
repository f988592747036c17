"""What the lists in documents hold, kept beside them: a row for each text of a list, in the order of pages.

So a page is a walk along the rows of a text, and documents are counted without a look at any of them: the
rows carry the other fields that are asked for. Triggers write them in the document's own transaction, and
only where a list has changed, or what its rows carry.
"""

import sqlite3

from infrastructure.sqlite.tables import column_of
from projections.ports import Container


def table_of(container: Container) -> str:
    """Where the rows of a container are."""
    return f'"{container.name}_lists"'


def carried(container: Container) -> tuple[str, ...]:
    """The fields of its document that a row carries."""
    return tuple(dict.fromkeys((*container.filter_fields, *container.below_fields)))


def keep_lists(connection: sqlite3.Connection, container: Container) -> None:
    """Make the table and the triggers, and take in what is there, unless they are as they should be."""
    triggers = _triggers(container) if container.list_fields else {}
    if triggers == _known_triggers(connection, container):
        return
    drop_lists(connection, container)
    if triggers:
        connection.execute(_table(container))
        for field in container.list_fields:
            connection.execute(_taken_in(container, field, "document", f'"{container.name}" AS document, '))
        for trigger in triggers.values():
            connection.execute(trigger)


def drop_lists(connection: sqlite3.Connection, container: Container) -> None:
    """Keep them no more. Documents that are all deleted would call a trigger each."""
    for name in _known_triggers(connection, container):
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute(f"DROP TABLE IF EXISTS {table_of(container)}")


def _known_triggers(connection: sqlite3.Connection, container: Container) -> dict[str, str]:
    select = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name GLOB ?"
    return dict(connection.execute(select, [f"{container.name}_lists_*"]))


def _table(container: Container) -> str:
    columns = "".join(f", {column_of(field)}" for field in carried(container))
    return (
        f"CREATE TABLE {table_of(container)} (tenant TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL,"
        f" sort TEXT NOT NULL, id TEXT NOT NULL{columns}, PRIMARY KEY (tenant, field, value, sort, id))"
        " WITHOUT ROWID"
    )


def _triggers(container: Container) -> dict[str, str]:
    name, fields = container.name, container.list_fields
    added = "; ".join(_taken_in(container, field, "new") for field in fields)
    removed = "; ".join(_taken_out(container, field) for field in fields)
    moved = _differ(container.sort_field, *carried(container))
    gone = "; ".join(f"{_taken_out(container, field)} AND ({moved} OR {_lost(field)})" for field in fields)
    changed = _differ(*fields, container.sort_field, *carried(container))
    triggers = {
        f"{name}_lists_added": f'AFTER INSERT ON "{name}" BEGIN {added}; END',
        f"{name}_lists_changed": f'AFTER UPDATE ON "{name}" WHEN {changed} BEGIN {gone}; {added}; END',
        f"{name}_lists_removed": f'AFTER DELETE ON "{name}" BEGIN {removed}; END',
    }
    return {name: f'CREATE TRIGGER "{name}" {trigger}' for name, trigger in triggers.items()}


def _differ(*fields: str) -> str:
    """That one of some fields has changed; both rows are parsed once for all of them."""
    paths = ", ".join(f"'$.{field}'" for field in fields)
    return f"json_extract(old.body, {paths}) IS NOT json_extract(new.body, {paths})"


def _lost(field: str) -> str:
    """That a text is in the list no more."""
    return f"value NOT IN (SELECT value FROM json_each(new.body, '$.{field}') WHERE type = 'text')"


def _taken_in(container: Container, field: str, row: str, documents: str = "") -> str:
    """Insert the texts in a list field of one row, or of each of ``documents``. What is no list has none."""
    told = "".join(f", {_value(row, each)}" for each in carried(container))
    sort = _value(row, container.sort_field)
    return (
        f"INSERT INTO {table_of(container)}"
        f" SELECT {row}.tenant, '{field}', item.value, {sort}, {row}.id{told}"
        f" FROM {documents}json_each({row}.body, '$.{field}') AS item"
        f" WHERE item.type = 'text' AND typeof(item.key) = 'integer' AND {sort} IS NOT NULL"
        " ON CONFLICT DO NOTHING"
    )


def _taken_out(container: Container, field: str) -> str:
    return (
        f"DELETE FROM {table_of(container)} WHERE tenant = old.tenant AND field = '{field}'"
        f" AND value IN (SELECT value FROM json_each(old.body, '$.{field}'))"
        f" AND sort = {_value('old', container.sort_field)} AND id = old.id"
    )


def _value(row: str, field: str) -> str:
    return f"json_extract({row}.body, '$.{field}')"
