"""The event store library's own cases for recorders, on those that our settings make."""

import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.persistence import ApplicationRecorder, Notification

from infrastructure.cosmos.log_container import SEGMENT_BYTES
from infrastructure.cosmos.recorder import CosmosLogRecorder
from infrastructure.postgres.recorder import LogRecorder as PostgresLogRecorder
from infrastructure.sqlite.recorder import LogRecorder as SqliteLogRecorder
from tests.application.library_cases import library
from tests.application.logs import (
    NO_ROOM,
    OpenLogs,
    Settings,
    cosmos_settings,
    postgres_settings,
    sqlite_settings,
)
from tests.builders import TENANT
from tests.cosmos import Account


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


class _OneTenant(ApplicationRecorder):
    """One tenant's order by the library's names: it knows no other than one over everything."""

    def __init__(self, log: CosmosLogRecorder) -> None:
        self._log = log

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Any = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        after = (start or 0) - (1 if start and inclusive_of_start else 0)
        found = self._log.select_after(TENANT, after, 10_000 if topics or stop else limit)
        return [
            each
            for each in found
            if (not topics or each.topic in topics) and (stop is None or each.id <= stop)
        ][:limit]

    def max_notification_id(self) -> int | None:
        newest = self._log.newest(TENANT)
        return newest.id if newest else None

    def insert_events(self, stored_events: Any, **keywords: Any) -> Any:
        return self._log.insert_events(stored_events, **keywords)

    def select_events(self, originator_id: Any, **keywords: Any) -> Any:
        return self._log.select_events(originator_id, **keywords)

    def subscribe(self, gt: int | None = None, topics: Any = ()) -> Any:
        raise NotImplementedError


class OnCosmos(OurRecorder):
    expected = CosmosLogRecorder
    segment_bytes = SEGMENT_BYTES

    def new_originator_id(self) -> str:
        return f"{TENANT}/workflow/{uuid4()}"

    def create_recorder(self) -> ApplicationRecorder:
        recorder = super().create_recorder()
        assert isinstance(recorder, CosmosLogRecorder)
        return _OneTenant(recorder)

    @pytest.fixture(autouse=True)
    def _place(self, cosmos: Account) -> None:
        self.open_on(cosmos_settings(cosmos, segment_bytes=self.segment_bytes))


@pytest.mark.cosmos
@pytest.mark.filterwarnings("ignore:Unverified HTTPS")
class TestCosmosRecorder(OnCosmos, library.ApplicationRecorderTestCase[ApplicationRecorder]):
    @pytest.mark.skip("it writes a hundred events at once: see tests/infrastructure/test_cosmos_log.py")
    def test_concurrent_no_conflicts(self, *_: int) -> None: ...


class TestCosmosRecorderWithASegmentAnAppend(TestCosmosRecorder):
    segment_bytes = NO_ROOM

    @pytest.mark.skip("it asserts nothing, and a hundred segments take long")
    def test_performance(self) -> None: ...
