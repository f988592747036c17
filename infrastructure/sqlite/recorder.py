"""The library's recorder, and several streams at once."""

from collections.abc import Mapping, Sequence
from itertools import starmap

import msgspec
from eventsourcing.persistence import IntegrityError, Notification, StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder
from eventsourcing.utils import get_topic

from application.event_log import Append, Ids, OneOrder
from application.log_batches import BATCH_BYTES, bytes_of, taken

_SELECT_STREAMS = (
    "SELECT originator_id, originator_version, topic, state"
    " FROM json_each(?) AS wanted CROSS JOIN stored_events"
    " ON originator_id = wanted.key AND originator_version > wanted.value"
    " ORDER BY originator_id, originator_version"
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

    def select_streams(self, streams: Mapping[str, int]) -> Sequence[StoredEvent]:
        """The events of each stream after a version, from one snapshot."""
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute(_SELECT_STREAMS, [msgspec.json.encode(streams).decode()])
            return [StoredEvent(*row) for row in cursor.fetchall()]

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
