"""The SQL of the audit index that PostgreSQL and SQLite share, with named parameters."""

from collections.abc import Callable, Sequence
from typing import Any

from application.audit.chain import Head
from application.audit.ports import Indexed, Wanted, microseconds

CLOCKS_DIFFER_BY_MICROSECONDS = 600 * 1_000_000
"""The clocks of instances are assumed to differ by ten minutes at most. A search for what was before a time
goes that far beyond it."""

_KEPT = (
    "number, position, category, aggregate_id, version, topic, actor, correlation_id, causation_id, at,"
    " latest_at, leaf, chain"
)

NAMES = tuple(name.strip() for name in f"tenant, {_KEPT}".split(","))


class Statements:
    """The statements over the tables of a schema. ``value`` writes a parameter's name as the driver has
    it."""

    def __init__(self, schema: str, value: Callable[[str], str]) -> None:
        self.rows = (
            f"SELECT (SELECT tenant FROM {schema}.audit_heads WHERE id = tenant_id), {_KEPT}"
            f" FROM {schema}.audit_events "
        )
        """A condition follows this statement. It selects the columns ``NAMES``."""
        self.count = f"SELECT count(*) FROM {schema}.audit_events "
        self.heads = f"SELECT tenant, number, position, chain, latest_at, id FROM {schema}.audit_heads "
        self.first_from = (
            f"SELECT position FROM {schema}.audit_events WHERE tenant_id = {value('tenant_id')}"
            f" AND latest_at >= {value('moment')} ORDER BY latest_at, position LIMIT 1"
        )
        sealed = f"FROM {schema}.audit_sealed"
        self.sealed_keys = (
            f"WITH RECURSIVE named (id, nth) AS (SELECT min(key_id), 1 {sealed} UNION ALL"
            f" SELECT (SELECT min(key_id) {sealed} WHERE key_id > named.id), nth + 1 FROM named"
            f" WHERE named.id IS NOT NULL AND nth < {value('most')})"
            f" SELECT (SELECT min(stream) {sealed} WHERE key_id = named.id), named.id FROM named"
            " WHERE named.id IS NOT NULL"
        )
        """Steps from key to key along the index, however many streams each key has."""


def where(wanted: Wanted, value: Callable[[str], str], *, walked: bool) -> tuple[str, dict[str, Any]]:
    """Return the condition on the rows of ``audit_events``, and its values.

    ``value`` writes a parameter's name as the driver has it. If the rows are ``walked`` in the order of an
    index, the other conditions are written so that the store cannot choose their indexes.
    """
    equal = {
        "aggregate_id": wanted.aggregate_id,
        "correlation_id": wanted.correlation_id,
        "actor": wanted.actor,
        "topic": wanted.topic,
    }
    asked = {column: given for column, given in equal.items() if given is not None}
    conditions = [f"tenant_id = {value('tenant_id')}", f"position > {value('beyond')}"]
    for number, column in enumerate(asked):
        hidden = "+" if walked and number else ""
        conditions.append(f"{hidden}{column} = {value(column)}")
    values: dict[str, Any] = dict(asked)
    if wanted.before_position is not None:
        conditions.append(f"position < {value('before_position')}")
        values["before_position"] = wanted.before_position
    for name, sign, moment in (("after", ">", wanted.after), ("before", "<", wanted.before)):
        if moment is not None:
            conditions.append(f"{'+' if walked else ''}at {sign} {value(name)}")
            values[name] = microseconds(moment)
    return " AND ".join(conditions), values


def in_order(newest_first: bool) -> str:
    """Return the ``ORDER BY`` of a page."""
    return f"ORDER BY position{' DESC' if newest_first else ''}"


def indexed(row: Sequence[Any]) -> Indexed:
    """Return the row of the index that a row of ``rows`` holds."""
    return Indexed(**dict(zip(NAMES, row, strict=True)))


def values_of(row: Indexed, tenant_id: int) -> tuple[Any, ...]:
    """Return the values of a row of ``audit_events``, in the order of its columns."""
    return (
        row.position,
        tenant_id,
        row.number,
        row.category,
        row.aggregate_id,
        row.version,
        row.topic,
        row.actor,
        row.correlation_id,
        row.causation_id,
        row.at,
        row.latest_at,
        row.leaf,
        row.chain,
    )


def head_of(row: Sequence[Any]) -> Head:
    """Return the head that a row of ``heads`` holds."""
    tenant, number, position, chain, latest_at, _ = row
    return Head(tenant=tenant, number=number, position=position, chain=chain, latest_at=latest_at)
