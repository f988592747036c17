"""The library's recorder. It appends in one round trip, in one order, and reports soon that PostgreSQL is
away.

The library tries each operation ten times and waits a second for a connection each time. A thread of ours
would hang for twelve seconds, and with it a stop or a readiness check. The callers know how long it is worth
waiting: a request is answered 503 at once; messages and followers have patience.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import accumulate, starmap
from threading import Lock
from typing import Any

from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    Notification,
    NotSupportedError,
    OperationalError,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.utils import get_topic
from psycopg import Connection
from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction
from psycopg.rows import tuple_row
from psycopg.types.composite import CompositeInfo

from application.event_log import MAX_VERSION, Append, Ids, OneOrder
from application.log_batches import BATCH_BYTES, BATCH_EVENTS, PAGE_BYTES
from infrastructure.postgres.arrays import send_arrays_in_binary
from infrastructure.postgres.batches import batch_of_streams, batch_where
from infrastructure.postgres.timelines import Timelines

RECONNECT_SECONDS = 3.0
"""After each failure the pool doubles its pause, up to so long. Then the next request connects again."""

_TAKES_NOTHING = (ReadOnlySqlTransaction, InsufficientPrivilege)
"""The server has become a standby under its connections, or it denies us a right. What was to be appended is
not at fault, and the error passes."""

_APPEND = "SELECT * FROM public.workflow_orchestrator_append(%s, %s)"

_SELECT_AFTER = batch_where(
    "notification_id > %s", "originator_id, originator_version, topic, state, notification_id"
)

_OF_STREAM = "originator_id, originator_version, topic, state"

_SELECT_STREAM = batch_where(
    "originator_id = %s AND originator_version > %s", _OF_STREAM, order="originator_version"
)
"""For one stream. It takes half the time of the query for several."""

_SELECT_BEFORE = batch_where(
    "originator_id = %s AND originator_version < %s", _OF_STREAM, order="originator_version DESC"
)

_SELECT_STREAMS = batch_of_streams(_OF_STREAM)


def _hastier(method: Any) -> Callable[..., Any]:
    """Try twice instead of ten times.

    The second try is for a lock that took too long, and for connections that were lost since they were last
    used. All idle connections are checked before it, because a server that restarts ends them all. (The
    pool's own check before each use pauses for a second after the second dead connection in a row.)

    If a server said that it takes no writes, no connection to it is kept: such connections would last an
    hour, and another server takes the writes.
    """
    once: Callable[..., Any] = getattr(method, "__wrapped__", method)

    @wraps(once)
    def twice(recorder: "LogRecorder", *arguments: Any, **keywords: Any) -> Any:
        recorder.leave_former_server()
        try:
            try:
                return once(recorder, *arguments, **keywords)
            except (InterfaceError, OperationalError):
                recorder.datastore.pool.check()
                return once(recorder, *arguments, **keywords)
        except PersistenceError as error:
            if isinstance(error.__cause__, ReadOnlySqlTransaction):
                recorder.datastore.pool.drain()
            if isinstance(error.__cause__, _TAKES_NOTHING):
                raise OperationalError(str(error).partition("\n")[0]) from error
            raise

    return twice


class _AnotherTimeline(IntegrityError):
    """The decision has to be made again."""


class LogRecorder(OneOrder, PostgresApplicationRecorder):
    """Each append is a transaction of its own, in one round trip: see ``0002_append_in_one_order.sql``."""

    select_events = _hastier(PostgresApplicationRecorder.select_events)
    select_notifications = _hastier(PostgresApplicationRecorder.select_notifications)
    max_notification_id = _hastier(PostgresApplicationRecorder.max_notification_id)

    def __init__(self, datastore: PostgresDatastore, **arguments: Any) -> None:
        self.timelines = Timelines()
        self._left = 0
        _configure_connections_of(datastore, self.timelines)
        super().__init__(datastore, **arguments)
        datastore.pool.reconnect_timeout = RECONNECT_SECONDS
        self._turn = Lock()
        self.backends: set[int] = set()
        """The server's processes that have appended for this process. Their notifications say what is known
        here already."""

    @property
    def switches(self) -> int:
        """How often the server was found to be on another timeline."""
        return self.timelines.switches

    def leave_former_server(self) -> None:
        """Close the connections to a server that another one has taken over from, whichever pool found
        that."""
        switches = self.switches
        if self._left != switches:
            self._left = switches
            self.datastore.pool.drain()

    def insert_events(self, stored_events: Append, **keywords: Any) -> Sequence[int] | None:
        """Append events of one caller, all or none. Return the ids that they got.

        Raises:
            IntegrityError: another writer was first, or the commit before was not acknowledged.
        """
        if keywords:
            raise NotSupportedError(f"this recorder does not keep {', '.join(keywords)}")
        return self._append([stored_events])[0] if stored_events else None

    @_hastier
    def select_after(self, partition: str, after: int, limit: int) -> Sequence[Notification]:
        """Return the next events after an id, up to a full batch, in one round trip."""
        with (
            self.datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row, binary=True) as cursor,
        ):
            cursor.execute(_SELECT_AFTER, (after, limit, BATCH_BYTES), prepare=True)
            return list(starmap(Notification, cursor.fetchall()))

    @_hastier
    def select_streams(self, streams: Mapping[str, int], limit: int = BATCH_EVENTS) -> Sequence[StoredEvent]:
        """Return the next events of each stream after a version, up to a full batch, in one round trip."""
        with (
            self.datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row, binary=True) as cursor,
        ):
            names, versions = list(streams), list(streams.values())
            if len(names) == 1:
                given = names[0], versions[0], limit, BATCH_BYTES
                cursor.execute(_SELECT_STREAM, given, prepare=True)
            else:
                cursor.execute(_SELECT_STREAMS, (names, versions, limit, BATCH_BYTES, limit), prepare=True)
            return list(starmap(StoredEvent, cursor.fetchall()))

    @_hastier
    def select_before(self, stream: str, before: int | None, limit: int) -> Sequence[StoredEvent]:
        """Return the events of a stream before a version, or its last ones, the newest first, up to a full
        page."""
        with (
            self.datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row, binary=True) as cursor,
        ):
            version = MAX_VERSION if before is None else before
            cursor.execute(_SELECT_BEFORE, (stream, version, limit, PAGE_BYTES), prepare=True)
            return list(starmap(StoredEvent, cursor.fetchall()))

    def append_together(
        self, appends: Sequence[Append], switches: int | None = None
    ) -> Sequence[Ids | Exception]:
        """Append all in one commit. If the database refuses the events of one caller, the others are appended
        nevertheless."""
        try:
            answers = self._append(appends, switches)
        except (InterfaceError, OperationalError):
            raise
        except _AnotherTimeline as error:
            return [error for _ in appends]
        except PersistenceError as error:
            if len(appends) == 1:
                return [error]
            return [self.append_together([events], switches)[0] for events in appends]
        return [IntegrityError("another writer was first") if ids is None else ids for ids in answers]

    @_hastier
    def _append(self, appends: Sequence[Append], switches: int | None = None) -> list[Any]:
        """Append, one thread of this process at a time. Only other processes may wait for the log's lock,
        because that waiting ends with an error.

        A connection to another timeline has been recognized as one before it is used here.
        """
        rows = [
            self.construct_pg_stored_event(
                event.originator_id, event.originator_version, event.topic, event.state
            )
            for events in appends
            for event in events
        ]
        ends = list(accumulate(len(events) for events in appends))
        with (
            self._turn,
            self.datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            if switches not in (None, self.switches):
                raise _AnotherTimeline("the log may not have any more what this was decided on")
            self.backends.add(connection.info.backend_pid)
            cursor.execute(_APPEND, (rows, ends), prepare=True)
            return [row[0] for row in cursor.fetchall()]


def _configure_connections_of(datastore: PostgresDatastore, timelines: Timelines) -> None:
    """Configure each new connection. The library does so in its own way, and allows no other."""
    configure = datastore.after_connect_func()

    def configured(connection: Connection[Any]) -> None:
        configure(connection)
        send_arrays_in_binary(connection)
        timelines.look(connection)
        _renew_types(datastore, connection)

    datastore.pool._configure = configured


def _renew_types(datastore: PostgresDatastore, connection: Connection[Any]) -> None:
    """Look up again the types that rows are sent as. The library does so once, and in a database that was
    restored from a dump they have other numbers."""
    names = datastore.psycopg_type_adapters
    found = {name: CompositeInfo.fetch(connection, f"{datastore.schema}.{name}") for name in names}
    datastore.psycopg_type_adapters = {name: info for name, info in found.items() if info is not None}


TOPIC = get_topic(LogRecorder)
