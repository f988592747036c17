"""The numbers of documents in lists, kept beside the documents, because counting takes longer the more there
are.

Triggers keep one number per tenant, and one for each value of each field that lists are filtered by. So only
a list that is filtered by two fields, or limited in time, has to be counted.
"""

import sqlite3
from collections.abc import Sequence
from functools import partial

from infrastructure.sqlite.tables import Step, execute, execute_all, triggers_named
from projections.ports import Container, Query


def keep_counts(connection: sqlite3.Connection, container: Container) -> None:
    """Create the table and the triggers, and count the documents, unless all are as they should be."""
    for step in steps_to_counts(connection, container):
        step(connection)


def steps_to_counts(connection: sqlite3.Connection, container: Container) -> list[Step]:
    """Return the steps of :func:`keep_counts`. The triggers come last: without them the steps begin again."""
    triggers = count_triggers(container)
    known = triggers_named(connection, f"{container.name}_counts_")
    if triggers == known:
        return []
    table = (
        f"CREATE TABLE {_table_of(container)} (tenant TEXT NOT NULL, field TEXT NOT NULL,"
        " value TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (tenant, field, value)) WITHOUT ROWID"
    )
    before = [f'DROP TRIGGER "{name}"' for name in known]
    return [
        partial(execute_all, [*before, f"DROP TABLE IF EXISTS {_table_of(container)}", table]),
        *(partial(execute, _counted_now(container, field)) for field in ("", *container.filter_fields)),
        partial(execute_all, list(triggers.values())),
    ]


def forget_common_counts(connection: sqlite3.Connection, containers: Sequence[Container]) -> None:
    """Drop the table in which earlier releases kept the numbers of all containers."""
    for container in containers:
        for kind in ("added", *(f"{field}_changed" for field in container.filter_fields)):
            connection.execute(f'DROP TRIGGER IF EXISTS "{container.name}_{kind}"')
    connection.execute("DROP TABLE IF EXISTS document_counts")


def drop_counts(connection: sqlite3.Connection, container: Container) -> None:
    """Stop keeping the numbers. Otherwise deleting all documents would call a trigger for each."""
    for name in triggers_named(connection, f"{container.name}_counts_"):
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute(f"DROP TABLE IF EXISTS {_table_of(container)}")


def kept_count(connection: sqlite3.Connection, container: Container, tenant: str, query: Query) -> int | None:
    """Return how many documents a query matches, whatever their lists hold, if that number is kept."""
    if not is_kept(container, query):
        return None
    ((field, value),) = query.equal.items() or [("", "")]
    row = connection.execute(
        f"SELECT number FROM {_table_of(container)} WHERE tenant = ? AND field = ? AND value = ?",
        (tenant, field, value),
    ).fetchone()
    return int(row[0]) if row else 0


def is_kept(container: Container, query: Query) -> bool:
    """Return whether the number of what a query matches is kept, whatever their lists hold."""
    cut = query.sort_from is not None or query.sort_before is not None or query.below
    return not cut and len(query.equal) <= 1 and query.equal.keys() <= set(container.filter_fields)


def count_triggers(container: Container) -> dict[str, str]:
    table = container.name
    added = "; ".join(_one_more(container, field) for field in ("", *container.filter_fields))
    removed = "; ".join(_one_less(container, field) for field in ("", *container.filter_fields))
    triggers = {
        f"{table}_counts_added": f'AFTER INSERT ON "{table}" BEGIN {added}; END',
        f"{table}_counts_removed": f'AFTER DELETE ON "{table}" BEGIN {removed}; END',
    }
    for field in container.filter_fields:
        old, new = _value("old", field), _value("new", field)
        triggers[f"{table}_counts_{field}_changed"] = (
            f'AFTER UPDATE ON "{table}" WHEN {old} IS NOT {new}'
            f" BEGIN {_one_less(container, field)}; {_one_more(container, field)}; END"
        )
    return {name: f'CREATE TRIGGER "{name}" {trigger}' for name, trigger in triggers.items()}


def _counted_now(container: Container, field: str) -> str:
    value = _value("document", field)
    return (
        f"INSERT INTO {_table_of(container)} SELECT tenant, '{field}', {value}, count(*)"
        f' FROM "{container.name}" AS document WHERE {value} IS NOT NULL GROUP BY tenant, {value}'
    )


def _one_more(container: Container, field: str) -> str:
    value = _value("new", field)
    return (
        f"INSERT INTO {_table_of(container)} SELECT new.tenant, '{field}', {value}, 1"
        f" WHERE {value} IS NOT NULL ON CONFLICT DO UPDATE SET number = number + 1"
    )


def _one_less(container: Container, field: str) -> str:
    return (
        f"UPDATE {_table_of(container)} SET number = number - 1"
        f" WHERE tenant = old.tenant AND field = '{field}' AND value = {_value('old', field)}"
    )


def _value(row: str, field: str) -> str:
    """Return a field's value in a row. The field without a name has the same value in all documents."""
    return f"json_extract({row}.body, '$.{field}')" if field else "''"


def _table_of(container: Container) -> str:
    """Return the name of the table. Each container has one, which is renamed together with it."""
    return f'"{container.name}_counts"'
