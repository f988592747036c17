"""What every store of positions does."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from domain.errors import StoreUnavailable
from infrastructure.cosmos.checkpoints import CosmosCheckpoints
from infrastructure.memory.checkpoints import MemoryCheckpoints
from infrastructure.postgres.checkpoints import PostgresCheckpoints
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.sqlite import database as sqlite_database
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from infrastructure.sqlite.database import SqliteDatabase
from projections.ports import Checkpoints
from tests.builders import LEASE
from tests.cosmos import Account
from tests.infrastructure.cosmos_places import Place, opened_in, place_in
from tests.postgres import end_connections

pytestmark = pytest.mark.anyio


class CheckpointsCases:
    """What every store of positions does."""

    def opened(self, place: str) -> AbstractAsyncContextManager[Checkpoints]:
        """The store; the same place, the same positions."""
        raise NotImplementedError

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "positions.db")

    @pytest.fixture
    async def checkpoints(self, place: str) -> AsyncIterator[Checkpoints]:
        async with self.opened(place) as checkpoints:
            yield checkpoints

    async def test_a_follower_that_has_handled_nothing_has_no_position(
        self, checkpoints: Checkpoints
    ) -> None:
        assert await checkpoints.load("outbox", "log", LEASE) is None

    async def test_the_last_position_that_was_saved_is_the_position(self, checkpoints: Checkpoints) -> None:
        for position in ("log-10", "log-9", 'etag:"ü"'):
            await checkpoints.save("outbox", "log", position, LEASE)
            assert await checkpoints.load("outbox", "log", LEASE) == position

    async def test_every_follower_has_a_position_in_every_partition(self, checkpoints: Checkpoints) -> None:
        await checkpoints.save("outbox", "one", "1", LEASE)
        await checkpoints.save("outbox", "two", "2", LEASE)
        await checkpoints.save("policy", "one", "3", LEASE)
        assert await checkpoints.load("outbox", "one", LEASE) == "1"
        assert await checkpoints.load("outbox", "two", LEASE) == "2"
        assert await checkpoints.load("policy", "one", LEASE) == "3"
        assert await checkpoints.load("policy", "two", LEASE) is None

    async def test_forgetting_a_follower_forgets_every_partition_and_no_other_follower(
        self, checkpoints: Checkpoints
    ) -> None:
        await checkpoints.save("outbox", "one", "1", LEASE)
        await checkpoints.save("outbox", "two", "2", LEASE)
        await checkpoints.save("policy", "one", "3", LEASE)
        await checkpoints.forget("outbox")
        await checkpoints.forget("nobody")
        assert await checkpoints.load("outbox", "one", LEASE) is None
        assert await checkpoints.load("outbox", "two", LEASE) is None
        assert await checkpoints.load("policy", "one", LEASE) == "3"


class LastingCheckpointsCases(CheckpointsCases):
    """What a store does that outlives the process."""

    async def test_positions_are_there_after_a_restart(self, place: str) -> None:
        async with self.opened(place) as checkpoints:
            await checkpoints.save("outbox", "log", "log-7", LEASE)
        async with self.opened(place) as checkpoints:
            assert await checkpoints.load("outbox", "log", LEASE) == "log-7"


class TestMemoryCheckpoints(CheckpointsCases):
    @asynccontextmanager
    async def opened(self, place: str) -> AsyncIterator[Checkpoints]:
        yield MemoryCheckpoints()


class TestSqliteCheckpoints(LastingCheckpointsCases):
    @asynccontextmanager
    async def opened(self, place: str) -> AsyncIterator[Checkpoints]:
        database = SqliteDatabase(Path(place), synchronous="NORMAL")
        try:
            checkpoints = SqliteCheckpoints(database)
            await checkpoints.create()
            yield checkpoints
        finally:
            database.close()

    async def test_a_locked_file_is_unavailable_and_keeps_the_old_position(
        self, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite_database, "_LOCK_TIMEOUT_SECONDS", 0.05)
        async with self.opened(place) as checkpoints:
            await checkpoints.save("outbox", "log", "log-1", LEASE)
            other = sqlite3.connect(place, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable):
                await checkpoints.save("outbox", "log", "log-2", LEASE)
            assert await checkpoints.load("outbox", "log", LEASE) == "log-1"
            other.close()


@pytest.mark.postgres
class TestPostgresCheckpoints(LastingCheckpointsCases):
    @pytest.fixture
    def place(self, postgres_store_url: str) -> str:
        return postgres_store_url

    @asynccontextmanager
    async def opened(self, place: str) -> AsyncIterator[Checkpoints]:
        database = PostgresDatabase(place)
        await database.open()
        try:
            yield PostgresCheckpoints(database)
        finally:
            await database.close()

    async def test_connections_that_the_server_ends_are_all_replaced_at_the_next_use(
        self, checkpoints: Checkpoints, place: str
    ) -> None:
        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(checkpoints.save, "outbox", str(number), "log-1", LEASE)
        assert end_connections(place) > 2
        with anyio.fail_after(1):
            assert await checkpoints.load("outbox", "7", LEASE) == "log-1"
        await checkpoints.save("outbox", "7", "log-2", LEASE)
        assert await checkpoints.load("outbox", "7", LEASE) == "log-2"


@pytest.mark.cosmos
class TestCosmosCheckpoints(LastingCheckpointsCases):
    where: Place

    @pytest.fixture(autouse=True)
    async def _placed(self, cosmos: Account) -> AsyncIterator[None]:
        async with place_in(cosmos) as self.where:
            yield

    @asynccontextmanager
    async def opened(self, place: str) -> AsyncIterator[Checkpoints]:
        async with opened_in(self.where) as database:
            checkpoints = CosmosCheckpoints(database, "workflow_positions")
            await checkpoints.create()
            yield checkpoints

    async def test_names_may_hold_what_ids_may_not(self, checkpoints: Checkpoints) -> None:
        await checkpoints.save("a/b", "#1?\\", "log-1", LEASE)
        assert await checkpoints.load("a/b", "#1?\\", LEASE) == "log-1"
        await checkpoints.forget("a/b")
        assert await checkpoints.load("a/b", "#1?\\", LEASE) is None
