"""The event store library's own cases for recorders, on those that our settings make."""

import threading
from pathlib import Path
from uuid import uuid4

import pytest
from eventsourcing.persistence import ApplicationRecorder

from infrastructure.postgres.recorder import LogRecorder as PostgresLogRecorder
from infrastructure.sqlite.recorder import LogRecorder as SqliteLogRecorder
from tests.application.library_cases import library
from tests.application.logs import OpenLogs, Settings, postgres_settings, sqlite_settings


class OurRecorder:
    """A mixin: a fresh recorder as the service has it, under stream names of text."""

    expected: type[ApplicationRecorder]
    settings: Settings
    logs: OpenLogs

    def new_originator_id(self) -> str:
        return f"{uuid4()}/workflow/{uuid4()}"

    def create_recorder(self) -> ApplicationRecorder:
        recorder = self.logs.open().recorder
        assert type(recorder) is self.expected
        return recorder

    def open_on(self, settings: Settings) -> None:
        self.logs = OpenLogs(settings)
        self._threads = set(threading.enumerate())

    def tearDown(self) -> None:
        """Close, once the readers that the library's cases leave behind have ended."""
        for thread in set(threading.enumerate()) - self._threads:
            if not thread.daemon:
                thread.join(timeout=10)
        self.logs.close()


class OnSqlite(OurRecorder):
    expected = SqliteLogRecorder

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.open_on(sqlite_settings(tmp_path))


class OnPostgres(OurRecorder):
    expected = PostgresLogRecorder

    @pytest.fixture(autouse=True)
    def _database(self, postgres_store_url: str) -> None:
        self.open_on(postgres_settings(postgres_store_url, connections=16))


class TestSqliteRecorder(OnSqlite, library.ApplicationRecorderTestCase[ApplicationRecorder]):
    pass


class TestSqliteNotificationIds(OnSqlite, library.NonInterleavingNotificationIDsBaseCase):
    pass


@pytest.mark.postgres
class TestPostgresRecorder(OnPostgres, library.ApplicationRecorderTestCase[ApplicationRecorder]):
    EXPECT_CONTIGUOUS_NOTIFICATION_IDS = False


@pytest.mark.postgres
class TestPostgresNotificationIds(OnPostgres, library.NonInterleavingNotificationIDsBaseCase):
    pass
