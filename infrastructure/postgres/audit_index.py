"""The audit index in PostgreSQL, beside the log."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from application.audit.chain import Head, beginning_of, tenant_of
from application.audit.ports import Indexed, Noted, Wanted, microseconds
from application.audit.rows import rows_after, sealed_in
from application.event_log import number_of
from domain.lease import Lease
from domain.values import StreamName
from infrastructure.audit_sql import (
    CLOCKS_DIFFER_BY_MICROSECONDS,
    Statements,
    head_of,
    in_order,
    indexed,
    values_of,
    where,
)
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.leases import transaction_under

_COPY = "COPY public.audit_events FROM STDIN (FORMAT BINARY)"
_TYPES = ("int8", "int8", "int8", "text", "text", "int8", *["text"] * 4, "int8", "int8", "bytea", "bytea")

_PUT_HEADS = (
    "INSERT INTO public.audit_heads (tenant, number, position, chain, latest_at)"
    " SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bytea[], %s::bigint[])"
    " ON CONFLICT (tenant) DO UPDATE SET number = excluded.number, position = excluded.position,"
    " chain = excluded.chain, latest_at = excluded.latest_at RETURNING tenant, id"
)
_PUT_POSITION = (
    "INSERT INTO public.audit_position VALUES (1, %s)"
    " ON CONFLICT (one) DO UPDATE SET position = excluded.position"
)

_PUT_SEALED = (
    "INSERT INTO public.audit_sealed SELECT * FROM unnest(%s::text[], %s::text[]) ON CONFLICT DO NOTHING"
)
_SEALED_STREAMS = (
    "SELECT stream FROM public.audit_sealed WHERE key_id = %s AND stream > %s ORDER BY stream LIMIT %s"
)


def _value(name: str) -> str:
    return f"%({name})s"


_sql = Statements("public", _value)

_REACHED = "SELECT position FROM public.audit_position"


class PostgresAuditIndex:
    """The index that all instances share."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def reached(self, partition: str) -> str | None:
        """Return the position of the log up to which the index is complete."""
        async with self._database.connection() as connection:
            return await _reached(connection)

    async def put(self, partition: str, events: Sequence[Noted], position: str, lease: Lease) -> None:
        """Add the next events. Events that the index already has are skipped.

        Raises:
            LeaseLost: the lease has passed on; nothing was added.
        """
        async with transaction_under(lease, self._database) as connection:
            done = number_of(await _reached(connection))
            fresh = [event for event in events if event.entry.id > done]
            if not fresh:
                return
            tenants = {event.entry.stream.partition("/")[0] for event in fresh}
            heads, _ = await _known(connection, tenants)
            rows = list(rows_after(heads, fresh))
            ids = await _put_heads(connection, list(heads.values()))
            async with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                copy.set_types(_TYPES)
                for row in rows:
                    await copy.write_row(values_of(row, ids[row.tenant]))
            if sealed := sealed_in(fresh):
                await connection.execute(_PUT_SEALED, [list(column) for column in zip(*sealed, strict=True)])
            await connection.execute(_PUT_POSITION, (position,))

    async def clear(self) -> None:
        """Delete all rows. The service's role may not truncate tables."""
        async with self._database.transaction() as connection:
            await connection.execute("DELETE FROM public.audit_position")
            await connection.execute("DELETE FROM public.audit_heads")
            await connection.execute("DELETE FROM public.audit_events")
            await connection.execute("DELETE FROM public.audit_sealed")

    async def sealed_streams(self, tenant: str, key_id: str, after: str, limit: int) -> Sequence[str]:
        """Return up to ``limit`` streams that hold values sealed under a key, ordered by name."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(_SEALED_STREAMS, (key_id, after, limit))
            return [row[0] for row in await cursor.fetchall()]

    async def sealed_keys(self, limit: int) -> Sequence[tuple[str, str]]:
        """Return the tenant and the id of up to ``limit`` keys of sealed values, ordered by id."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql.sealed_keys.encode(), {"most": limit})
            return [(tenant_of(stream), key_id) for stream, key_id in await cursor.fetchall()]

    async def page(
        self, wanted: Wanted, *, beyond: int, limit: int, newest_first: bool = False
    ) -> Sequence[Indexed]:
        """Return up to ``limit`` events beyond a position, in the order of the log or in reverse."""
        async with self._database.connection() as connection:
            found = await _condition(connection, wanted, beyond)
            if found is None:
                return []
            condition, values = found
            order = in_order(newest_first)
            return await _rows(
                connection, f"WHERE {condition} {order} LIMIT %(most)s", values | {"most": limit}
            )

    async def count(self, wanted: Wanted) -> int:
        """Return how many events match."""
        if wanted.is_all:
            return (await self.head(wanted.tenant)).number
        async with self._database.connection() as connection:
            found = await _condition(connection, wanted, 0)
            if found is None:
                return 0
            condition, values = found
            statement = f"{_sql.count}WHERE {condition}"
            cursor = await connection.execute(statement.encode(), values)
            row = await cursor.fetchone()
        return int(row[0]) if row else 0

    async def head(self, tenant: str) -> Head:
        """Return the end of a tenant's hash chain, or its beginning if the tenant has no event."""
        async with self._database.connection() as connection:
            heads, _ = await _known(connection, (tenant,))
        return heads.get(tenant) or beginning_of(tenant)

    async def heads(self) -> Sequence[Head]:
        """Return the heads of all tenants that have an event, ordered by tenant."""
        async with self._database.connection() as connection:
            statement = f'{_sql.heads}ORDER BY tenant COLLATE "C"'
            cursor = await connection.execute(statement.encode())
            return [head_of(row) for row in await cursor.fetchall()]

    async def at(self, tenant: str, position: int) -> Indexed | None:
        """Return the index's row for the event at a position."""
        return await self._one("WHERE position = %(position)s", {"position": position})

    async def find(self, stream: str, version: int) -> Indexed | None:
        """Return the index's row for the event at a version of a stream."""
        if stream.count("/") < 2:
            return None
        name = StreamName.parse(stream)
        return await self._one(
            "WHERE tenant_id = (SELECT id FROM public.audit_heads WHERE tenant = %(tenant)s)"
            " AND aggregate_id = %(id)s AND category = %(category)s AND version = %(version)s LIMIT 1",
            {"tenant": name.tenant, "id": name.id, "category": name.category, "version": version},
        )

    async def preceding(self, tenant: str, position: int) -> Indexed | None:
        """Return the index's row for the tenant's last event before a position."""
        return await self._one(
            "WHERE tenant_id = (SELECT id FROM public.audit_heads WHERE tenant = %(tenant)s)"
            " AND position < %(position)s ORDER BY position DESC LIMIT 1",
            {"tenant": tenant, "position": position},
        )

    async def read(self, partition: str, after: int, limit: int) -> Sequence[Indexed]:
        """Return the next events of all tenants, in the order of the log."""
        async with self._database.connection() as connection:
            return await _rows(
                connection,
                "WHERE position > %(after)s ORDER BY position LIMIT %(most)s",
                {"after": after, "most": limit},
            )

    async def _one(self, condition: str, values: dict[str, Any]) -> Indexed | None:
        async with self._database.connection() as connection:
            found = await _rows(connection, condition, values)
        return found[0] if found else None


async def _rows(
    connection: AsyncConnection[TupleRow], condition: str, values: dict[str, Any]
) -> list[Indexed]:
    cursor = await connection.execute(f"{_sql.rows}{condition}".encode(), values, binary=True)
    return [indexed(row) for row in await cursor.fetchall()]


async def _reached(connection: AsyncConnection[TupleRow]) -> str | None:
    row = await (await connection.execute(_REACHED)).fetchone()
    return None if row is None else str(row[0])


async def _known(
    connection: AsyncConnection[TupleRow], tenants: Collection[str]
) -> tuple[dict[str, Head], dict[str, int]]:
    cursor = await connection.execute(f"{_sql.heads}WHERE tenant = ANY(%s)".encode(), (list(tenants),))
    rows = await cursor.fetchall()
    return {row[0]: head_of(row) for row in rows}, {row[0]: row[5] for row in rows}


async def _put_heads(connection: AsyncConnection[TupleRow], heads: Sequence[Head]) -> dict[str, int]:
    cursor = await connection.execute(
        _PUT_HEADS,
        (
            [head.tenant for head in heads],
            [head.number for head in heads],
            [head.position for head in heads],
            [head.chain for head in heads],
            [head.latest_at for head in heads],
        ),
    )
    return dict(await cursor.fetchall())


async def _condition(
    connection: AsyncConnection[TupleRow], wanted: Wanted, beyond: int
) -> tuple[str, dict[str, Any]] | None:
    """Return the condition and its values, or None if the tenant has no event, or none so late."""
    _, ids = await _known(connection, (wanted.tenant,))
    if not ids:
        return None
    tenant_id = ids[wanted.tenant]
    beyond = max(beyond, wanted.after_position)
    if wanted.after is not None:
        first = await _first_from(connection, tenant_id, microseconds(wanted.after) + 1)
        if first is None:
            return None
        beyond = max(beyond, first - 1)
    if wanted.before is not None:
        moment = microseconds(wanted.before) + CLOCKS_DIFFER_BY_MICROSECONDS
        last = await _first_from(connection, tenant_id, moment)
        if last is not None and (wanted.before_position is None or last < wanted.before_position):
            wanted = msgspec.structs.replace(wanted, before_position=last)
    condition, values = where(wanted, _value, walked=False)
    return condition, values | {"tenant_id": tenant_id, "beyond": beyond}


async def _first_from(connection: AsyncConnection[TupleRow], tenant_id: int, moment: int) -> int | None:
    cursor = await connection.execute(_sql.first_from.encode(), {"tenant_id": tenant_id, "moment": moment})
    row = await cursor.fetchone()
    return None if row is None else int(row[0])
