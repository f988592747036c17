"""The last anchors in PostgreSQL, beside the log. They are not derived from the log."""

from collections.abc import Sequence

import msgspec

from application.audit.anchors import Anchor
from domain.lease import Lease
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.leases import transaction_under

_KEEP = (
    "INSERT INTO public.audit_anchors (tenant, sequence, anchor, is_out)"
    " SELECT given.*, FALSE FROM unnest(%s::text[], %s::bigint[], %s::bytea[]) AS given"
    " ON CONFLICT (tenant) DO UPDATE SET sequence = excluded.sequence, anchor = excluded.anchor,"
    " is_out = FALSE"
)
_NOTE_OUT = (
    "UPDATE public.audit_anchors AS kept SET is_out = TRUE"
    " FROM unnest(%s::text[], %s::bigint[]) AS given (tenant, sequence)"
    " WHERE kept.tenant = given.tenant AND kept.sequence = given.sequence"
)

_anchor = msgspec.json.Decoder(Anchor)


class PostgresAnchorBook:
    """The anchors of every tenant, which all instances share."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def last(self) -> Sequence[Anchor]:
        """Return the last anchor of each tenant."""
        return await self._select(b"SELECT anchor FROM public.audit_anchors")

    async def of(self, tenant: str) -> Anchor | None:
        """Return the last anchor of a tenant, if it has one."""
        found = await self._select(b"SELECT anchor FROM public.audit_anchors WHERE tenant = %s", tenant)
        return found[0] if found else None

    async def waiting(self) -> Sequence[Anchor]:
        """Return the last anchors that are not known to be published."""
        return await self._select(b"SELECT anchor FROM public.audit_anchors WHERE NOT is_out ORDER BY tenant")

    async def keep(self, anchors: Sequence[Anchor], lease: Lease) -> None:
        """Store each anchor as its tenant's last one, not yet published. All are stored, or none.

        Raises:
            LeaseLost: the lease has passed on; nothing was kept.
        """
        async with transaction_under(lease, self._database) as connection:
            await connection.execute(
                _KEEP,
                (
                    [each.tenant_id for each in anchors],
                    [each.sequence for each in anchors],
                    [msgspec.json.encode(each) for each in anchors],
                ),
            )

    async def note_out(self, anchors: Sequence[Anchor], lease: Lease) -> None:
        """Note that these anchors are published.

        Raises:
            LeaseLost: the lease has passed on; it is not noted.
        """
        async with transaction_under(lease, self._database) as connection:
            await connection.execute(
                _NOTE_OUT, ([each.tenant_id for each in anchors], [each.sequence for each in anchors])
            )

    async def _select(self, statement: bytes, *values: str) -> Sequence[Anchor]:
        async with self._database.connection() as connection:
            cursor = await connection.execute(statement, values)
            return [_anchor.decode(row[0]) for row in await cursor.fetchall()]
