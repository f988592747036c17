"""The library's recorder, which can also read and append several streams at once."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice, starmap

import msgspec
from eventsourcing.persistence import IntegrityError, Notification, StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor, SQLiteTransaction
from eventsourcing.utils import get_topic

from application.event_log import MAX_VERSION, Append, Ids, OneOrder
from application.log_batches import BATCH_BYTES, BATCH_EVENTS, PAGE_BYTES, bytes_of, size_of, taken
from infrastructure.sqlite.many_rows import Rows, insertion

SELECT_STREAMS = (
    "SELECT originator_id, originator_version, topic, state FROM json_each(?) AS wanted"
    " CROSS JOIN stored_events ON originator_id = wanted.key AND originator_version > wanted.value"
)

_SELECT_BEFORE = (
    "SELECT originator_id, originator_version, topic, state FROM stored_events"
    " WHERE originator_id = ? AND originator_version < ? ORDER BY originator_version DESC LIMIT ?"
)

_SELECT_AFTER = (
    "SELECT originator_id, originator_version, topic, state, rowid FROM stored_events"
    " WHERE rowid > ? ORDER BY rowid LIMIT ?"
)

_INSERT = "INSERT INTO stored_events (originator_id, originator_version, topic, state)"

_MOST_BY_ONE = 256
_MOST_BYTES_BY_ONE = 128 * 1024
"""The most rows, and bytes, of an append that is one statement. A connection keeps a prepared statement for
each number of rows, with its last parameters."""


class LogRecorder(OneOrder, SQLiteApplicationRecorder):
    """Each append is a transaction, of its own or together with others."""

    def select_after(self, partition: str, after: int, limit: int) -> Sequence[Notification]:
        """Return the next events after an id. SQLite reads a row when it is asked for it."""
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute(_SELECT_AFTER, (after, limit))
            return taken(starmap(Notification, cursor.sqlite_cursor), bytes_of, BATCH_BYTES)

    def select_streams(self, streams: Mapping[str, int], limit: int = BATCH_EVENTS) -> Sequence[StoredEvent]:
        """Return the next events of each stream after a version, up to a full batch, from one snapshot.

        The rows are not sorted, so each is read when it is asked for: the loops follow the order of the
        ``CROSS JOIN``, and the inner one walks the index of a stream's versions.

        Raises:
            ValueError: no stream can have such a name.
        """
        if any("\0" in stream for stream in streams):
            raise ValueError("a stream's name has NUL in it, at which SQLite's json_each may end it")
        found: list[StoredEvent] = []
        size = 0
        with self._single(commit=False) as rows:
            for row in rows.execute(SELECT_STREAMS, [msgspec.json.encode(streams).decode()]):
                found.append(StoredEvent(*row))
                size += len(found[-1].state)
                if size >= BATCH_BYTES or len(found) == limit:
                    break
        return found

    def select_before(self, stream: str, before: int | None, limit: int) -> Sequence[StoredEvent]:
        """Return the events of a stream before a version, or its last ones, the newest first, up to a full
        page."""
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute(_SELECT_BEFORE, (stream, MAX_VERSION if before is None else before, limit))
            return taken(starmap(StoredEvent, cursor.sqlite_cursor), bytes_of, PAGE_BYTES)

    def append_together(
        self, appends: Sequence[Append], switches: int | None = None
    ) -> Sequence[Ids | Exception]:
        """Append all in one commit, or each in its own if another writer was first with one of them."""
        rows = [
            (each.originator_id, each.originator_version, each.topic, each.state)
            for events in appends
            for each in events
        ]
        try:
            last = self._insert(rows, sum(map(size_of, appends)))
        except IntegrityError as error:
            if len(appends) == 1:
                return [error]
            return [self.append_together([events])[0] for events in appends]
        ids = iter(range(last - len(rows) + 1, last + 1))
        return [tuple(islice(ids, len(events))) for events in appends]

    def _insert(self, rows: Rows, size: int) -> int:
        """Insert rows, and return the id of the last. Those before it have the ids right below: a row of a
        table without AUTOINCREMENT gets the highest id plus one, and nobody else writes meanwhile."""
        if not rows:
            return 0
        if len(rows) == 1 or (len(rows) <= _MOST_BY_ONE and size <= _MOST_BYTES_BY_ONE):
            with self._single(commit=True) as cursor:
                return cursor.execute(*insertion(_INSERT, rows)).lastrowid or 0
        with self.datastore.transaction(commit=True) as cursor:
            for row in rows:
                cursor.execute(*insertion(_INSERT, [row]))
            return cursor.lastrowid or 0

    @contextmanager
    def _single(self, *, commit: bool) -> Iterator[sqlite3.Cursor]:
        """Yield a cursor for one statement, whose errors are raised as the library's."""
        with (
            self.datastore.get_connection(commit=commit) as connection,
            _WithoutBegin(connection, commit=commit) as cursor,
            cursor as rows,
        ):
            rows.row_factory = None
            yield rows


class _WithoutBegin(SQLiteTransaction):
    """Runs one statement, which is a transaction by itself. At its end the library then only translates
    errors."""

    def __enter__(self) -> SQLiteCursor:
        return self.connection.cursor()


TOPIC = get_topic(LogRecorder)
