"""What every store of positions does."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import psycopg
import pytest

from domain.errors import LeaseLost, StoreUnavailable
from domain.lease import Lease
from infrastructure.cosmos.checkpoints import CosmosCheckpoints
from infrastructure.cosmos.leases import CosmosLeases
from infrastructure.cosmos.positions import CosmosPositions
from infrastructure.memory.checkpoints import MemoryCheckpoints
from infrastructure.postgres.checkpoints import PostgresCheckpoints
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.sqlite import database as sqlite_database
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from infrastructure.sqlite.database import SqliteDatabase
from projections.ports import Checkpoints
from tests.application.logs import UNVERIFIED
from tests.builders import LEASE, Held
from tests.cosmos import Account
from tests.harness import PATIENCE_SECONDS
from tests.infrastructure.cosmos_places import COORDINATION, Observed, Place, opened_in, place_in
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

    async def test_those_of_many_partitions_are_loaded_at_once(self, checkpoints: Checkpoints) -> None:
        for number in range(3):
            await checkpoints.save("outbox", f"{number}", f"log-{number}", LEASE)
        await checkpoints.save("policy", "3", "log-3", LEASE)
        found = await checkpoints.load_all("outbox", ["2", "3", "0"], LEASE)
        assert found == {"2": "log-2", "3": None, "0": "log-0"}
        assert await checkpoints.load_all("outbox", [], LEASE) == {}

    async def test_those_of_many_partitions_are_saved_at_once(self, checkpoints: Checkpoints) -> None:
        await checkpoints.save("outbox", "0", "log-0", LEASE)
        given = {f"{number}": f"log-{number}0" for number in range(200)}
        await checkpoints.save_all("outbox", given, LEASE)
        await checkpoints.save_all("outbox", {}, LEASE)
        assert await checkpoints.load_all("outbox", [*given, "none"], LEASE) == {**given, "none": None}
        assert await checkpoints.load("policy", "0", LEASE) is None

    async def test_only_those_are_forgotten_that_are_named(self, checkpoints: Checkpoints) -> None:
        await checkpoints.save("outbox", "one", "1", LEASE)
        await checkpoints.save("outbox", "two", "2", LEASE)
        await checkpoints.save("policy", "one", "3", LEASE)
        await checkpoints.forget("outbox", ["two", "none"], LEASE)
        await checkpoints.forget("nobody", ["one"], LEASE)
        assert await checkpoints.load("outbox", "one", LEASE) == "1"
        assert await checkpoints.load("outbox", "two", LEASE) is None
        assert await checkpoints.load("policy", "one", LEASE) == "3"


class LastingCheckpointsCases(CheckpointsCases):
    """What a store does that outlives the process."""

    async def test_positions_are_there_after_a_restart(self, place: str) -> None:
        async with self.opened(place) as checkpoints:
            await checkpoints.save("outbox", "log", "log-7", LEASE)
        async with self.opened(place) as checkpoints:
            assert await checkpoints.load("outbox", "log", LEASE) == "log-7"


class SharedCheckpointsCases(LastingCheckpointsCases):
    """What a store does that several processes share."""

    async def passed_on(self, place: str, fence: int) -> Lease:
        """The lease of a next holder, who has not asked for anything yet."""
        raise NotImplementedError

    async def test_nothing_is_saved_under_a_lease_once_its_next_holder_has_looked(
        self, checkpoints: Checkpoints, place: str
    ) -> None:
        former = await self.passed_on(place, 1)
        assert await checkpoints.load("outbox", "log", former) is None
        await checkpoints.save("outbox", "log", "log-1", former)
        present = await self.passed_on(place, 2)
        assert await checkpoints.load("outbox", "log", present) == "log-1"
        with pytest.raises(LeaseLost):
            await checkpoints.save("outbox", "log", "log-2", former)
        with pytest.raises(LeaseLost):
            await checkpoints.load("outbox", "log", former)
        assert await checkpoints.load("outbox", "log", present) == "log-1"
        await checkpoints.save("outbox", "log", "log-3", present)
        assert await checkpoints.load("outbox", "log", await self.passed_on(place, 3)) == "log-3"

    async def test_who_has_loaded_all_at_once_keeps_the_former_holder_back_too(
        self, checkpoints: Checkpoints, place: str
    ) -> None:
        former = await self.passed_on(place, 1)
        assert await checkpoints.load_all("outbox", ["log"], former) == {"log": None}
        await checkpoints.save("outbox", "log", "log-1", former)
        assert await checkpoints.load_all("outbox", ["log"], await self.passed_on(place, 2)) == {
            "log": "log-1"
        }
        with pytest.raises(LeaseLost):
            await checkpoints.save("outbox", "log", "log-2", former)
        with pytest.raises(LeaseLost):
            await checkpoints.load_all("outbox", ["log"], former)
        with pytest.raises(LeaseLost):
            await checkpoints.save_all("outbox", {"log": "log-2"}, former)

    async def test_a_former_holder_makes_nobody_forget_a_position(
        self, checkpoints: Checkpoints, place: str
    ) -> None:
        former = await self.passed_on(place, 1)
        await checkpoints.save("outbox", "log", "log-1", former)
        present = await self.passed_on(place, 2)
        assert await checkpoints.load("outbox", "log", present) == "log-1"
        with pytest.raises(LeaseLost):
            await checkpoints.forget("outbox", ["log"], former)
        assert await checkpoints.load("outbox", "log", present) == "log-1"
        await checkpoints.forget("outbox", ["log", "none"], present)
        assert await checkpoints.load("outbox", "log", present) is None
        with pytest.raises(LeaseLost):
            await checkpoints.save("outbox", "log", "log-2", former)

    async def test_a_position_that_was_never_saved_can_be_lost_to_the_next_holder_too(
        self, checkpoints: Checkpoints, place: str
    ) -> None:
        former = await self.passed_on(place, 1)
        present = await self.passed_on(place, 2)
        assert await checkpoints.load("outbox", "log", present) is None
        with pytest.raises(LeaseLost):
            await checkpoints.save("outbox", "log", "log-2", former)
        assert await checkpoints.load("outbox", "log", present) is None

    async def test_who_has_no_rival_is_kept_back_by_no_former_holder(
        self, checkpoints: Checkpoints, place: str
    ) -> None:
        lease = await self.passed_on(place, 7)
        await checkpoints.save("outbox", "log", "log-1", lease)
        assert await checkpoints.load("outbox", "log", LEASE) == "log-1"
        await checkpoints.save("outbox", "log", "log-2", LEASE)
        assert await checkpoints.load("outbox", "log", lease) == "log-2"


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
class TestPostgresCheckpoints(SharedCheckpointsCases):
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

    async def passed_on(self, place: str, fence: int) -> Lease:
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO leases VALUES ('outbox', %(holder)s, %(fence)s, now() + interval '1 minute')"
                " ON CONFLICT (name) DO UPDATE SET holder = %(holder)s, fence = %(fence)s",
                {"holder": f"holder-{fence}", "fence": fence},
            )
        return Held("outbox", fence)

    async def test_connections_that_the_server_ends_are_all_replaced_at_the_next_use(
        self, checkpoints: Checkpoints, place: str
    ) -> None:
        with psycopg.connect(place) as holding, psycopg.connect(place, autocommit=True) as looking:
            holding.execute("LOCK TABLE follower_positions IN EXCLUSIVE MODE")
            async with anyio.create_task_group() as group:
                for number in range(40):
                    group.start_soon(checkpoints.save, "outbox", str(number), "log-1", LEASE)
                with anyio.fail_after(PATIENCE_SECONDS):
                    while _connections(looking) <= 4:
                        await anyio.sleep(0.01)
                holding.rollback()
        assert end_connections(place) > 2
        with anyio.fail_after(1):
            assert await checkpoints.load("outbox", "7", LEASE) == "log-1"
        await checkpoints.save("outbox", "7", "log-2", LEASE)
        assert await checkpoints.load("outbox", "7", LEASE) == "log-2"


def _connections(looking: psycopg.Connection) -> int:
    statement = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
    return len(looking.execute(statement).fetchall())


@pytest.mark.cosmos
class TestCosmosCheckpoints(SharedCheckpointsCases):
    where: Place

    async def passed_on(self, place: str, fence: int) -> Lease:
        return Held("outbox", fence)

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
        await checkpoints.forget("a/b", ["#1?\\"], LEASE)
        assert await checkpoints.load("a/b", "#1?\\", LEASE) is None


def by_name(follower: str, partition: str) -> str:
    return follower


@pytest.mark.cosmos
@UNVERIFIED
class TestCosmosPositions(SharedCheckpointsCases):
    """Positions beside their leases."""

    where: Place

    @pytest.fixture(autouse=True)
    async def _placed(self, cosmos: Account) -> AsyncIterator[None]:
        async with place_in(cosmos) as self.where:
            yield

    @asynccontextmanager
    async def opened(self, place: str) -> AsyncIterator[Checkpoints]:
        async with opened_in(self.where) as database:
            await CosmosLeases(database, COORDINATION).create()
            yield CosmosPositions(database, COORDINATION, by_name)

    async def passed_on(self, place: str, fence: int) -> Lease:
        async with opened_in(self.where) as database:
            leases, holder = CosmosLeases(database, COORDINATION), f"holder-{fence}"
            held = await leases.hold(["outbox"], holder)
            await leases.release(["outbox"], holder)  # its fence stands until somebody takes it over
            return Held("outbox", held["outbox"])

    async def test_of_however_many_tenants_they_are_one_question(self) -> None:
        observed: list[Observed] = []
        async with self.opened(""):
            lease = await self.passed_on("", 1)
        async with opened_in(self.where, observed) as database:
            positions = CosmosPositions(database, COORDINATION, by_name)
            tenants = [f"tenant-{number}" for number in range(50)]
            observed.clear()
            assert await positions.load_all("outbox", tenants, lease) == dict.fromkeys(tenants)
            assert [operation for _, operation, *_ in observed] == ["read", "query"]

    async def test_a_position_lies_with_the_lease_of_its_follower(self, checkpoints: Checkpoints) -> None:
        lease = await self.passed_on("", 1)
        with pytest.raises(ValueError, match="outbox"):
            await checkpoints.save("policy", "log", "log-1", lease)
