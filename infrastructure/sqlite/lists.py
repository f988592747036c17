"""The rows of lists: one row for each text of a list in a document, in the order of pages.

A page is then a walk along the rows of a text, and documents are counted without reading any of them, because
the rows also carry the other fields that are asked for. Triggers write them in the document's own
transaction, and only if a list, or what its rows carry, has changed.
"""

import sqlite3
from functools import partial

from infrastructure.sqlite.tables import Step, column_of, execute, execute_all, triggers_named
from projections.ports import Container

_ROWS_A_STEP = 20_000


def table_of(container: Container) -> str:
    """Return the name of the table of a container's rows."""
    return f'"{container.name}_lists"'


def carried(container: Container) -> tuple[str, ...]:
    """Return the fields of its document that a row carries."""
    return tuple(dict.fromkeys((*container.filter_fields, *container.below_fields)))


def keep_lists(connection: sqlite3.Connection, container: Container) -> None:
    """Create the table and the triggers, and insert the present rows, unless all are as they should be."""
    for step in steps_to_lists(connection, container):
        step(connection)


def steps_to_lists(connection: sqlite3.Connection, container: Container) -> list[Step]:
    """Return the steps of :func:`keep_lists`, each for a number of documents. The triggers come last: without
    them the steps begin again."""
    triggers = list_triggers(container)
    if triggers == _known_triggers(connection, container):
        return []
    steps: list[Step] = [partial(_drop_lists, container)]
    if triggers:
        (newest,) = connection.execute(f'SELECT coalesce(max(rowid), 0) FROM "{container.name}"').fetchone()
        steps.append(partial(execute, _table(container)))
        for start in range(0, newest, _ROWS_A_STEP):
            some = f" AND document.rowid > {start} AND document.rowid <= {start + _ROWS_A_STEP}"
            for field in container.list_fields:
                documents = f'"{container.name}" AS document, '
                taken_in = _taken_in(container, field, "document", documents, among=some)
                steps.append(partial(execute, taken_in))
        steps.append(partial(execute_all, list(triggers.values())))
    return steps


def drop_lists(connection: sqlite3.Connection, container: Container) -> None:
    """Stop keeping the rows. Otherwise deleting all documents would call a trigger for each."""
    for name in _known_triggers(connection, container):
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute(f"DROP TABLE IF EXISTS {table_of(container)}")


def _drop_lists(container: Container, connection: sqlite3.Connection) -> None:
    drop_lists(connection, container)


def _known_triggers(connection: sqlite3.Connection, container: Container) -> dict[str, str]:
    return triggers_named(connection, f"{container.name}_lists_")


def _table(container: Container) -> str:
    columns = "".join(f", {column_of(field)}" for field in carried(container))
    return (
        f"CREATE TABLE {table_of(container)} (tenant TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL,"
        f" sort TEXT NOT NULL, id TEXT NOT NULL{columns}, PRIMARY KEY (tenant, field, value, sort, id))"
        " WITHOUT ROWID"
    )


def list_triggers(container: Container) -> dict[str, str]:
    """Return the triggers that keep the rows, by name: none if documents have no lists."""
    if not container.list_fields:
        return {}
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
    """Return the condition that one of some fields has changed. Each row is parsed once for all of them."""
    paths = ", ".join(f"'$.{field}'" for field in fields)
    return f"json_extract(old.body, {paths}) IS NOT json_extract(new.body, {paths})"


def _lost(field: str) -> str:
    """Return the condition that a text is no longer in the list."""
    return f"value NOT IN (SELECT value FROM json_each(new.body, '$.{field}') WHERE type = 'text')"


def _taken_in(container: Container, field: str, row: str, documents: str = "", *, among: str = "") -> str:
    """Return the statement that inserts the texts in a list field of one row, or of each of ``documents``. A
    value that is no list has none."""
    told = "".join(f", {_value(row, each)}" for each in carried(container))
    sort = _value(row, container.sort_field)
    return (
        f"INSERT INTO {table_of(container)}"
        f" SELECT {row}.tenant, '{field}', item.value, {sort}, {row}.id{told}"
        f" FROM {documents}json_each({row}.body, '$.{field}') AS item"
        f" WHERE item.type = 'text' AND typeof(item.key) = 'integer' AND {sort} IS NOT NULL"
        f"{among} ON CONFLICT DO NOTHING"
    )


def _taken_out(container: Container, field: str) -> str:
    return (
        f"DELETE FROM {table_of(container)} WHERE tenant = old.tenant AND field = '{field}'"
        f" AND value IN (SELECT value FROM json_each(old.body, '$.{field}'))"
        f" AND sort = {_value('old', container.sort_field)} AND id = old.id"
    )


def _value(row: str, field: str) -> str:
    return f"json_extract({row}.body, '$.{field}')"
