"""How many documents a list has, kept beside them: counting them takes as long as there are documents.

Triggers keep one number a tenant and container, and one for each value of each field that lists are filtered
by. So only a list that is filtered by two fields, or cut by time, is counted.
"""

import sqlite3

from projections.ports import Container, Query

_TABLE = (
    "CREATE TABLE IF NOT EXISTS document_counts"
    " (container TEXT NOT NULL, tenant TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL,"
    " number INTEGER NOT NULL, PRIMARY KEY (container, tenant, field, value)) WITHOUT ROWID"
)


def keep_counts(connection: sqlite3.Connection, container: Container) -> None:
    """Make the table and the triggers if they are missing, and count what is there already."""
    connection.execute(_TABLE)
    triggers = _triggers(container)
    known = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
    if not triggers.keys() <= known:
        forget_counts(connection, container)
        for field in ("", *container.filter_fields):
            connection.execute(_counted_now(container, field))
        for name, trigger in triggers.items():
            connection.execute(f'DROP TRIGGER IF EXISTS "{name}"')
            connection.execute(trigger)


def forget_counts(connection: sqlite3.Connection, container: Container) -> None:
    """Every document of a container is gone."""
    connection.execute("DELETE FROM document_counts WHERE container = ?", [container.name])


def kept_count(connection: sqlite3.Connection, container: Container, tenant: str, query: Query) -> int | None:
    """How many documents a query matches, whatever their lists hold, if that is a number that is kept."""
    cut = query.sort_from is not None or query.sort_before is not None or query.below
    if cut or len(query.equal) > 1 or not query.equal.keys() <= set(container.filter_fields):
        return None
    ((field, value),) = query.equal.items() or [("", "")]
    row = connection.execute(
        "SELECT number FROM document_counts WHERE container = ? AND tenant = ? AND field = ? AND value = ?",
        (container.name, tenant, field, value),
    ).fetchone()
    return int(row[0]) if row else 0


def _triggers(container: Container) -> dict[str, str]:
    table = container.name
    added = "; ".join(_one_more(container, field) for field in ("", *container.filter_fields))
    triggers = {f"{table}_added": f'AFTER INSERT ON "{table}" BEGIN {added}; END'}
    for field in container.filter_fields:
        old, new = _value("old", field), _value("new", field)
        triggers[f"{table}_{field}_changed"] = (
            f'AFTER UPDATE ON "{table}" WHEN {old} IS NOT {new}'
            f" BEGIN {_one_less(container, field)}; {_one_more(container, field)}; END"
        )
    return {name: f'CREATE TRIGGER "{name}" {trigger}' for name, trigger in triggers.items()}


def _counted_now(container: Container, field: str) -> str:
    value = _value("document", field)
    return (
        f"INSERT INTO document_counts SELECT '{container.name}', tenant, '{field}', {value}, count(*)"
        f' FROM "{container.name}" AS document WHERE {value} IS NOT NULL GROUP BY tenant, {value}'
    )


def _one_more(container: Container, field: str) -> str:
    value = _value("new", field)
    return (
        f"INSERT INTO document_counts SELECT '{container.name}', new.tenant, '{field}', {value}, 1"
        f" WHERE {value} IS NOT NULL ON CONFLICT DO UPDATE SET number = number + 1"
    )


def _one_less(container: Container, field: str) -> str:
    return (
        f"UPDATE document_counts SET number = number - 1 WHERE container = '{container.name}'"
        f" AND tenant = old.tenant AND field = '{field}' AND value = {_value('old', field)}"
    )


def _value(row: str, field: str) -> str:
    """A field's value in a row; all documents have the same in the field without a name."""
    return f"json_extract({row}.body, '$.{field}')" if field else "''"
