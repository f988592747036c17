"""Snapshots in PostgreSQL, over the connections of the log: see ``0008_snapshots.sql``."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from eventsourcing.postgres import PostgresDatastore
from psycopg.rows import tuple_row

from application.snapshots import Snapshot

_PUT = (
    "INSERT INTO public.stream_snapshots AS kept (stream, version, recipe, leaf, body, digest)"
    " VALUES (%s, %s, %s, %s, %s, %s)"
    " ON CONFLICT (stream) DO UPDATE SET version = excluded.version, recipe = excluded.recipe,"
    " leaf = excluded.leaf, body = excluded.body, digest = excluded.digest"
    " WHERE NOT kept.forgotten"
)
_FORGET = (
    "INSERT INTO public.stream_snapshots VALUES (%s, 0, '', '', '', '', true)"
    " ON CONFLICT (stream) DO UPDATE SET version = 0, recipe = '', leaf = '', body = '', digest = '',"
    " forgotten = true"
)


class PostgresSnapshots:
    """Takes a connection for each call."""

    def __init__(self, datastore: PostgresDatastore) -> None:
        self._datastore = datastore

    def versions(self, partition: str | None = None) -> Mapping[str, int]:
        """Return the version of the snapshot of each stream that has one. The log has one partition."""
        return dict(self._rows("SELECT stream, version FROM public.stream_snapshots WHERE NOT forgotten", ()))

    def get(self, stream: str) -> Snapshot | None:
        """Return the snapshot of a stream, if there is one."""
        rows = self._rows(
            "SELECT stream, version, recipe, leaf, body, digest FROM public.stream_snapshots"
            " WHERE stream = %s AND NOT forgotten",
            (stream,),
        )
        return Snapshot(**dict(zip(Snapshot.__struct_fields__, rows[0], strict=True))) if rows else None

    def put(self, snapshot: Snapshot) -> None:
        """Store a snapshot in place of the stream's former one, unless the stream was forgotten."""
        self._rows(_PUT, msgspec.structs.astuple(snapshot))

    def forget(self, stream: str) -> None:
        """Delete the snapshot of a stream, and never store another one of it."""
        self._rows(_FORGET, (stream,))

    def close(self) -> None:
        """Do nothing: the connections belong to the log."""

    def _rows(self, statement: str, values: Sequence[Any]) -> list[Any]:
        with (
            self._datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            cursor.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []
