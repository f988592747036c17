"""Event logs to test on: a SQLite file, a real PostgreSQL, and Cosmos DB."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError
from eventsourcing.persistence import OperationalError

from application.event_log import EventLog
from application.event_store import EventStore
from application.log_batches import LogBatch
from infrastructure.cosmos.event_store import cosmos_log_settings
from infrastructure.cosmos.log_container import SEGMENT_BYTES
from infrastructure.cosmos.threaded import ThreadedContainer
from infrastructure.postgres.event_store import postgres_log_settings
from infrastructure.sqlite.event_store import sqlite_log_settings
from tests.cosmos import Account, fresh_database

Settings = dict[str, str]


def sqlite_settings(folder: Path) -> Settings:
    """The service's own settings, with a shorter patience for a locked file."""
    return {**sqlite_log_settings(folder / "events.db"), "SQLITE_LOCK_TIMEOUT": "1"}


def postgres_settings(url: str, *, connections: int = 4) -> Settings:
    """The service's own settings, with fewer connections, which take time to open."""
    return postgres_log_settings(url, connections=connections)


def cosmos_settings(
    account: Account, database: str | None = None, *, segment_bytes: int = SEGMENT_BYTES
) -> Settings:
    """The service's own settings, in a database of the test's own."""
    return cosmos_log_settings(
        account.endpoint,
        account.key,
        database=database or fresh_database(),
        container="workflow_events",
        segment_bytes=segment_bytes,
    )


NO_ROOM = 1
"""So many bytes that each append to a log in Cosmos DB begins a segment of its own."""


UNVERIFIED = pytest.mark.filterwarnings("ignore:Unverified HTTPS")

POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)

ONE_PARTITION_AND_MANY = ["sqlite", pytest.param("cosmos", marks=[pytest.mark.cosmos, UNVERIFIED])]
"""For who reads logs: one order over all tenants, and one a tenant."""


STORES = [ONE_PARTITION_AND_MANY[0], POSTGRES, *ONE_PARTITION_AND_MANY[1:]]
"""Each of them."""

SEGMENTS = pytest.param("segments", marks=[pytest.mark.cosmos, UNVERIFIED])
"""In Cosmos DB, where each append begins a segment."""


def settings_of(kind: str, request: pytest.FixtureRequest) -> Settings:
    """The settings of one of these, in a place of the test's own."""
    match kind:
        case "postgres":
            return postgres_settings(request.getfixturevalue("postgres_store_url"))
        case "cosmos":
            return cosmos_settings(request.getfixturevalue("cosmos"))
        case "segments":
            return cosmos_settings(request.getfixturevalue("cosmos"), segment_bytes=NO_ROOM)
    return sqlite_settings(request.getfixturevalue("tmp_path"))


class OpenLogs:
    """Opens logs on one database, each as a process of its own would, and closes them all."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = ExitStack()

    def open(self) -> EventLog:
        """One more process's log."""
        log = EventLog(self._settings)
        self._stack.callback(log.close)
        return log

    def store(self) -> EventStore:
        """One more process's store."""
        store = EventStore(self.open())
        self._stack.callback(store.close)
        return store

    def close(self) -> None:
        """Close every log."""
        self._stack.close()


@contextmanager
def open_logs(settings: Settings) -> Iterator[OpenLogs]:
    """Logs on one database."""
    logs = OpenLogs(settings)
    try:
        yield logs
    finally:
        logs.close()


class CountingStore(EventStore):
    """A store that counts how often its log is read."""

    reads = 0

    async def read(self, partition: str, after: str | None, limit: int) -> LogBatch | None:
        self.reads += 1
        return await super().read(partition, after, limit)


class LostAcknowledgement:
    """Lets one transaction be committed, and the connection break before the commit is answered."""

    def __init__(self, log: EventLog) -> None:
        datastore = log.recorder.datastore  # type: ignore[attr-defined]
        self._real = datastore.get_connection
        self._armed = False
        self.lost = 0
        datastore.get_connection = self._connection

    def arm(self) -> None:
        """The next transaction is the one."""
        self._armed = True

    @contextmanager
    def _connection(self, **how: bool) -> Iterator[object]:
        armed, self._armed = self._armed, False
        with self._real(**how) as connection:
            yield connection
        if armed:
            self.lost += 1
            raise OperationalError("the connection broke before the commit was acknowledged")


class LostAnswer:
    """Lets one batch be stored in Cosmos DB, and its answer be lost: for good, or to be sent again."""

    def __init__(self, asked: EventLog | ThreadedContainer, error: Exception | None = None) -> None:
        threaded = asked.recorder._container if isinstance(asked, EventLog) else asked  # type: ignore[attr-defined]
        container: Any = threaded._container
        self._real = container.execute_item_batch
        self._error = error or ServiceResponseError("the connection broke before the answer came")
        self._armed = False
        self.lost = 0
        container.execute_item_batch = self._store

    def arm(self) -> None:
        """The next batch is the one."""
        self._armed = True

    def _store(self, *what: Any, **how: Any) -> Any:
        armed, self._armed = self._armed, False
        answer = self._real(*what, **how)
        if armed:
            self.lost += 1
            raise self._error
        return answer
