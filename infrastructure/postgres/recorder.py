"""The recorder: appends in one round trip, in one order for followers, and says soon when PostgreSQL is away.

The library tries each operation ten times and waits a second for a connection each time, so a thread
of ours would hang for twelve seconds, and a stop or a readiness check with it. Waiting is for those who
know how long it is worth: a request is answered 503 at once, messages and followers have patience.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from itertools import accumulate
from typing import Any

from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.utils import get_topic
from psycopg.rows import tuple_row

from infrastructure.postgres.group_commit import GroupCommit

RECONNECT_SECONDS = 3.0
"""The pool doubles its pause at each failure, for so long; then the next request connects afresh."""

_APPEND = "SELECT * FROM public.workflow_orchestrator_append(%s, %s)"

_Events = Sequence[StoredEvent]
_Ids = list[int]


def _hastier(method: Any) -> Callable[..., Any]:
    """Two attempts instead of ten.

    The second is for a lock that took too long, and for connections that were lost since they were last
    used: all idle ones are looked at before it, since a server that restarts ends them all. (The pool's
    own check before each use pauses for a second after the second dead connection in a row.)
    """
    once: Callable[..., Any] = getattr(method, "__wrapped__", method)

    @wraps(once)
    def twice(recorder: PostgresApplicationRecorder, *arguments: Any, **keywords: Any) -> Any:
        try:
            return once(recorder, *arguments, **keywords)
        except (InterfaceError, OperationalError):
            recorder.datastore.pool.check()
            return once(recorder, *arguments, **keywords)

    return twice


class LogRecorder(PostgresApplicationRecorder):
    """Each append is a transaction of its own, of one round trip: see ``0002_append_in_one_order.sql``."""

    select_events = _hastier(PostgresApplicationRecorder.select_events)
    select_notifications = _hastier(PostgresApplicationRecorder.select_notifications)
    max_notification_id = _hastier(PostgresApplicationRecorder.max_notification_id)

    def __init__(self, datastore: PostgresDatastore, **arguments: Any) -> None:
        super().__init__(datastore, **arguments)
        datastore.pool.reconnect_timeout = RECONNECT_SECONDS

    def insert_events(self, stored_events: _Events, **keywords: Any) -> Sequence[int] | None:
        """Append events of one caller, all or none; the ids they got.

        Raises:
            IntegrityError: another writer was first, or the commit before was not acknowledged.
        """
        if keywords:
            raise NotSupportedError(f"this recorder does not keep {', '.join(keywords)}")
        return self._append_alone(stored_events) if stored_events else None

    def _append_alone(self, events: _Events) -> _Ids:
        answers: list[_Ids] = self._append([events])
        return answers[0]

    @_hastier
    def _append(self, of_callers: Sequence[_Events]) -> list[_Ids | None]:
        rows = [
            self.construct_pg_stored_event(
                event.originator_id, event.originator_version, event.topic, event.state
            )
            for events in of_callers
            for event in events
        ]
        ends = list(accumulate(len(events) for events in of_callers))
        with (
            self.datastore.get_connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            cursor.execute(_APPEND, (rows, ends), prepare=True)
            return [row[0] for row in cursor.fetchall()]


class GroupCommitRecorder(LogRecorder):
    """The same, with one transaction for all who append at the same time."""

    def __init__(self, datastore: PostgresDatastore, **arguments: Any) -> None:
        super().__init__(datastore, **arguments)
        self._committed_together = GroupCommit(self._append_together)

    def _append_alone(self, events: _Events) -> _Ids:
        return self._committed_together(events)

    def _append_together(self, of_callers: Sequence[_Events]) -> Sequence[_Ids | Exception]:
        if len(of_callers) == 1:
            return [super()._append_alone(of_callers[0])]
        try:
            answers = self._append(of_callers)
        except (InterfaceError, OperationalError):
            raise
        except PersistenceError:
            return [self._answer_alone(events) for events in of_callers]
        return [IntegrityError("another writer was first") if ids is None else ids for ids in answers]

    def _answer_alone(self, events: _Events) -> _Ids | Exception:
        """What one caller gave that the database cannot take must not be the others' fault."""
        try:
            return super()._append_alone(events)
        except PersistenceError as error:
            return error


TOPIC = get_topic(LogRecorder)
GROUP_COMMIT_TOPIC = get_topic(GroupCommitRecorder)
