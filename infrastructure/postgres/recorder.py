"""The stock recorder, except that it says soon when PostgreSQL is away.

The library tries each operation ten times and waits a second for a connection each time, so a thread
of ours would hang for twelve seconds, and a stop or a readiness check with it. Waiting is for those who
know how long it is worth: a request is answered 503 at once, messages and followers have patience.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from eventsourcing.persistence import InterfaceError, OperationalError
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.utils import get_topic

RECONNECT_SECONDS = 3.0
"""The pool doubles its pause at each failure, for so long; then the next request connects afresh."""


def _hastier(method: Any) -> Callable[..., Any]:
    once: Callable[..., Any] = method.__wrapped__

    @wraps(once)
    def twice(recorder: PostgresApplicationRecorder, *arguments: Any, **keywords: Any) -> Any:
        try:
            return once(recorder, *arguments, **keywords)
        except (InterfaceError, OperationalError):
            recorder.datastore.pool.check()
            return once(recorder, *arguments, **keywords)

    return twice


class HastyRecorder(PostgresApplicationRecorder):
    """Two attempts instead of ten.

    The second is for a lock that took too long, and for connections that were lost since they were last
    used: all idle ones are looked at before it, since a server that restarts ends them all. (The pool's own
    check before each use pauses for a second after the second dead connection in a row.)
    """

    insert_events = _hastier(PostgresApplicationRecorder.insert_events)
    select_events = _hastier(PostgresApplicationRecorder.select_events)
    select_notifications = _hastier(PostgresApplicationRecorder.select_notifications)
    max_notification_id = _hastier(PostgresApplicationRecorder.max_notification_id)

    def __init__(self, datastore: PostgresDatastore, **arguments: Any) -> None:
        super().__init__(datastore, **arguments)
        datastore.pool.reconnect_timeout = RECONNECT_SECONDS


TOPIC = get_topic(HastyRecorder)
