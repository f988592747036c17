"""Pages of documents, read along an index of theirs, or for each text along the rows of the list that holds
it."""

import sqlite3
from collections.abc import Iterator

import msgspec

from infrastructure.sqlite.conditions import Conditions
from infrastructure.sqlite.lists import table_of
from infrastructure.sqlite.tables import in_document
from projections.ports import Container, Query

Row = tuple[str, int, bytes, str]
"""Id, version, body and sort value."""


def rows_of(connection: sqlite3.Connection, container: Container, tenant: str, query: Query) -> Iterator[Row]:
    """Yield the documents of a page in its order, and one more if there is one. Each is read when it is asked
    for."""
    conditions = Conditions(container, tenant, query)
    most = query.limit + 1
    if not conditions.held:
        walk = along_documents(container, query, conditions)
        return connection.execute(walk, conditions.parameters | {"most": most})
    walk, places = along_list(container, query, conditions), set[tuple[str, str]]()
    for text in conditions.held[0].texts:
        places.update(connection.execute(walk, conditions.parameters | {"most": most, "text": text}))
    shown = sorted(places, reverse=not query.oldest_first)[:most]
    return connection.execute(at_places(container), [tenant, msgspec.json.encode(shown).decode()])


def along_documents(container: Container, query: Query, conditions: Conditions) -> str:
    """Return the statement that walks along an index of the documents."""
    sort = in_document(container.sort_field)
    where = [
        *conditions.of_documents(),
        *(f"NOT {conditions.holds(each, sort, 'document.id')}" for each in conditions.not_held),
        *conditions.beyond(sort, "id"),
    ]
    return (
        f'SELECT id, version, CAST(body AS BLOB), {sort} FROM "{container.name}" AS document'
        f" WHERE {' AND '.join(where)} {_in_order(query, sort)}"
    )


def along_list(container: Container, query: Query, conditions: Conditions) -> str:
    """Return the statement that walks along one text of the first list, and looks up the other conditions."""
    walked, *others = conditions.held
    where = [
        *conditions.of_rows(walked.field),
        "value = :text",
        *(conditions.holds(each) for each in others),
        *(f"NOT {conditions.holds(each)}" for each in conditions.not_held),
        *conditions.told_by_documents(),
        *conditions.beyond("sort", "id"),
    ]
    return (
        f"SELECT sort, id FROM {table_of(container)} AS held"
        f" WHERE {' AND '.join(where)} {_in_order(query, 'sort')}"
    )


def at_places(container: Container) -> str:
    """Return the statement that looks up the document at each (sort value, id) in turn. A cross join keeps
    the order of its left side; sorting the documents would need all of them at once."""
    return (
        "SELECT document.id, version, CAST(body AS BLOB), place.value ->> 0 FROM json_each(?2) AS place"
        f' CROSS JOIN "{container.name}" AS document'
        " ON document.tenant = ?1 AND document.id = place.value ->> 1"
    )


def _in_order(query: Query, sort: str) -> str:
    direction = "ASC" if query.oldest_first else "DESC"
    return f"ORDER BY {sort} {direction}, id {direction} LIMIT :most"
