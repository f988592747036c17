"""The personal keys of a shared store: a table beside the log, used from any thread."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from application.privacy.ports import Erasure, Rewrapped
from domain.errors import StoreUnavailable
from infrastructure.postgres.conninfo import conninfo
from infrastructure.postgres.failures import AWAY, may_pass
from infrastructure.postgres.recorder import RECONNECT_SECONDS

T = TypeVar("T")

_SIZE = 2
_TIMEOUT_SECONDS = 2.0
_CLOSE_SECONDS = 0.1

_OF = "SELECT id, wrapped FROM public.personal_keys WHERE tenant = %s AND subject = %s"
_DESTROY = (
    "WITH gone AS (DELETE FROM public.personal_keys WHERE {} RETURNING tenant, id)"
    " INSERT INTO public.personal_erasures (tenant, key_id, reason, erased_at)"
    " SELECT tenant, id, %s, %s FROM gone"
)


class PostgresPersonalKeys:
    """The keys that all instances share."""

    def __init__(self, url: str) -> None:
        self._pool = ConnectionPool(
            conninfo(url),
            kwargs={"autocommit": True},
            min_size=0,
            max_size=_SIZE,
            timeout=_TIMEOUT_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            open=True,
            check=ConnectionPool.check_connection,
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close(timeout=_CLOSE_SECONDS)

    def named(self, ids: Collection[str]) -> Mapping[str, bytes]:
        """Return those of the keys that exist."""
        statement = "SELECT id, wrapped FROM public.personal_keys WHERE id = ANY(%s)"
        return dict(self._rows(statement, list(ids)))

    def of(self, tenant: str, subject: str) -> tuple[str, bytes] | None:
        """Return the id and the wrapped key of a subject, if there is one."""
        return _first(self._rows(_OF, tenant, subject))

    def put(self, tenant: str, subject: str, id: str, wrapped: bytes) -> tuple[str, bytes]:
        """Store a key unless the subject has got one meanwhile. Return the key that the subject then has.

        Raises:
            StoreUnavailable: the subject had a key, which was destroyed meanwhile.
        """

        def insert(connection: Connection[TupleRow]) -> tuple[str, bytes]:
            connection.execute(
                "INSERT INTO public.personal_keys VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (id, tenant, subject, wrapped),
            )
            found = _first(connection.execute(_OF, (tenant, subject)).fetchall())
            if found is None:
                raise StoreUnavailable("a personal key was destroyed while it was asked for")
            return found

        return self._do(insert)

    def add(self, keys: Sequence[tuple[str, str, str, bytes]]) -> None:
        """Store keys as :meth:`all` returns them, except for subjects that have one."""
        statement = (
            b"INSERT INTO public.personal_keys"
            b" SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bytea[]) ON CONFLICT DO NOTHING"
        )
        given = [[key[column] for key in keys] for column in range(4)]
        self._do(lambda connection: connection.execute(statement, given))

    def any(self) -> tuple[str, bytes] | None:
        """Return any one of the keys, if there is one."""
        return _first(self._rows("SELECT id, wrapped FROM public.personal_keys LIMIT 1"))

    def page(self, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """Return up to ``limit`` keys whose id follows ``after``, ordered by id."""
        statement = "SELECT id, wrapped FROM public.personal_keys WHERE id > %s ORDER BY id LIMIT %s"
        rows = self._rows(statement, after, limit)
        return [(row[0], row[1]) for row in rows]

    def rewrap(self, keys: Sequence[Rewrapped]) -> int:
        """Replace keys by their new wrapped form. Return how many were replaced."""
        statement = (
            b"UPDATE public.personal_keys AS kept SET wrapped = new.wrapped"
            b" FROM unnest(%s::text[], %s::bytea[], %s::bytea[]) AS new (id, was, wrapped)"
            b" WHERE kept.id = new.id AND kept.wrapped = new.was"
        )
        given = [[getattr(each, name) for each in keys] for name in ("id", "was", "wrapped")]
        return self._do(lambda connection: connection.execute(statement, given).rowcount)

    def erasures(self) -> int:
        """Return how often a key was destroyed."""
        return int(self._rows("SELECT coalesce(max(number), 0) FROM public.personal_erasures")[0][0])

    def destroy(self, tenant: str, subjects: Sequence[str], reason: str | None, now: datetime) -> int:
        """Destroy the keys of subjects and note it, in one transaction. Return how many there were."""
        return self._destroyed("tenant = %s AND subject = ANY(%s)", tenant, list(subjects), reason, now)

    def destroy_again(self, tenant: str, ids: Collection[str], now: datetime) -> int:
        """Destroy keys that a backup has brought back, in the same way. Return how many there were."""
        return self._destroyed("tenant = %s AND id = ANY(%s)", tenant, list(ids), None, now)

    def untold(self) -> Sequence[Erasure]:
        """Return the erasures that have no event in the log yet."""
        rows = self._rows(
            "SELECT number, tenant, key_id, reason, erased_at FROM public.personal_erasures"
            " WHERE NOT is_told ORDER BY number"
        )
        return [
            Erasure(number=row[0], tenant=row[1], key_id=row[2], reason=row[3], erased_at=row[4])
            for row in rows
        ]

    def note_told(self, number: int) -> None:
        """Note that an erasure now has its event in the log."""
        statement = b"UPDATE public.personal_erasures SET is_told = TRUE, reason = NULL WHERE number = %s"
        self._do(lambda connection: connection.execute(statement, (number,)))

    def all(self) -> list[tuple[str, str, str, bytes]]:
        """Return every key with its owner, for a copy."""
        statement = "SELECT id, tenant, subject, wrapped FROM public.personal_keys ORDER BY id"
        return [(row[0], row[1], row[2], row[3]) for row in self._rows(statement)]

    def _destroyed(self, condition: str, *values: Any) -> int:
        statement = _DESTROY.format(condition).encode()
        return self._do(lambda connection: connection.execute(statement, values).rowcount)

    def _rows(self, statement: str, *values: Any) -> list[TupleRow]:
        return self._do(lambda connection: connection.execute(statement.encode(), values).fetchall())

    def _do(self, work: Callable[[Connection[TupleRow]], T]) -> T:
        try:
            with self._pool.connection() as connection:
                return work(connection)
        except psycopg.errors.ReadOnlySqlTransaction as error:
            self._pool.drain()
            raise StoreUnavailable(str(error)) from error
        except AWAY as error:
            if not may_pass(error):
                raise
            raise StoreUnavailable(str(error)) from error


def _first(rows: Sequence[TupleRow]) -> tuple[str, bytes] | None:
    return (rows[0][0], rows[0][1]) if rows else None
