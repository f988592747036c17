"""The library's recorder, and several streams at once."""

from collections.abc import Mapping, Sequence
from itertools import starmap

from eventsourcing.persistence import IntegrityError, Notification, StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder
from eventsourcing.utils import get_topic

from application.event_log import MAX_VERSION, Append, Ids, OneOrder
from application.log_batches import BATCH_BYTES, BATCH_EVENTS, PAGE_BYTES, bytes_of, taken

_SELECT_STREAM = (
    "SELECT originator_version, topic, state FROM stored_events"
    " WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version"
)

_SELECT_BEFORE = (
    "SELECT originator_id, originator_version, topic, state FROM stored_events"
    " WHERE originator_id = ? AND originator_version < ? ORDER BY originator_version DESC LIMIT ?"
)

_SELECT_AFTER = (
    "SELECT originator_id, originator_version, topic, state, rowid FROM stored_events"
    " WHERE rowid > ? ORDER BY rowid LIMIT ?"
)


class LogRecorder(OneOrder, SQLiteApplicationRecorder):
    """Each append is a transaction of its own, or one together with others."""

    def select_after(self, partition: str, after: int, limit: int) -> Sequence[Notification]:
        """The next events after an id. SQLite makes a row when it is asked for it."""
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute(_SELECT_AFTER, (after, limit))
            return taken(starmap(Notification, cursor.sqlite_cursor), bytes_of, BATCH_BYTES)

    def select_streams(self, streams: Mapping[str, int], limit: int = BATCH_EVENTS) -> Sequence[StoredEvent]:
        """The next events of each stream after a version, up to a full batch, from one snapshot.

        A question for each: what one asked for all would be sorted, and no row be had before all are made.
        """
        found: list[StoredEvent] = []
        size = 0
        with self.datastore.transaction(commit=False) as cursor:
            rows = cursor.sqlite_cursor
            rows.row_factory = None
            for stream, after in streams.items():
                for version, topic, state in rows.execute(_SELECT_STREAM, (stream, after)):
                    found.append(StoredEvent(stream, version, topic, state))
                    size += len(state)
                    if size >= BATCH_BYTES or len(found) == limit:
                        return found
        return found

    def select_before(self, stream: str, before: int | None, limit: int) -> Sequence[StoredEvent]:
        """The events of a stream before a version, or its last ones, the newest first, up to a full page."""
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute(_SELECT_BEFORE, (stream, MAX_VERSION if before is None else before, limit))
            return taken(starmap(StoredEvent, cursor.sqlite_cursor), bytes_of, PAGE_BYTES)

    def append_together(
        self, appends: Sequence[Append], switches: int | None = None
    ) -> Sequence[Ids | Exception]:
        """One commit for all, or one for each where another writer was faster than one of them."""
        try:
            with self.datastore.transaction(commit=True) as cursor:
                return [self._insert_events(cursor, events) or () for events in appends]
        except IntegrityError as error:
            if len(appends) == 1:
                return [error]
            return [self.append_together([events])[0] for events in appends]


TOPIC = get_topic(LogRecorder)
