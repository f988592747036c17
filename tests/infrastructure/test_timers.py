"""What every store of timers does."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import anyio
import pytest

from application.ports import Settled, Timer, Timers
from domain.errors import LeaseLost, StoreUnavailable
from domain.lease import Lease, Unrivalled
from infrastructure.cosmos.leases import CosmosLeases
from infrastructure.cosmos.timers import CosmosTimers
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.timers import PostgresTimers
from infrastructure.sqlite import database as sqlite_database
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.timers import SqliteTimers
from tests.application.logs import UNVERIFIED
from tests.builders import LEASE, NOW, OTHER_TENANT, TENANT, Held, after, metadata
from tests.cosmos import Account
from tests.infrastructure.cosmos_places import COORDINATION, Place, opened_in, place_in
from tests.postgres import away

pytestmark = pytest.mark.anyio

CLOCK = Unrivalled("timers")
"""The lease under which the commands of timers are given."""


def timer(id: str, due_at: datetime = NOW, attempt: int = 1, tenant: str = TENANT) -> Timer:
    return Timer(
        id=id,
        due_at=due_at,
        kind="step-deadline",
        payload={"workflow_id": "w-1", "step_type": "forecast", "attempt": attempt},
        meta=metadata(command_id=id, tenant=tenant),
    )


class TimersCases:
    """What every store of timers does."""

    def opened(self, place: str) -> AbstractAsyncContextManager[Timers]:
        """The store; the same place, the same timers."""
        raise NotImplementedError

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "timers.db")

    @pytest.fixture
    async def timers(self, place: str) -> AsyncIterator[Timers]:
        async with self.opened(place) as timers:
            yield timers

    async def due(self, timers: Timers, now: datetime = NOW, limit: int = 100) -> list[str]:
        return [each.id for each in await timers.due(now, limit)]

    async def test_a_due_timer_is_given_back_as_it_was_set(self, timers: Timers) -> None:
        await timers.change(set=[timer("a")], cancel=(), lease=LEASE)
        assert await timers.due(NOW, 10) == [timer("a")]
        assert await timers.due(NOW, 10) == [timer("a")]

    async def test_a_timer_is_due_at_its_time_and_not_before(self, timers: Timers) -> None:
        await timers.change(set=[timer("a", after(seconds=1))], cancel=(), lease=LEASE)
        assert await self.due(timers, after(seconds=1, microseconds=-1)) == []
        assert await self.due(timers, after(seconds=1)) == ["a"]

    async def test_a_time_between_two_milliseconds_is_kept(self, timers: Timers) -> None:
        await timers.change(set=[timer("a", after(microseconds=500))], cancel=(), lease=LEASE)
        assert await self.due(timers, after(microseconds=499)) == []
        assert await self.due(timers, after(microseconds=500)) == ["a"]

    async def test_times_are_moments_whatever_their_zone(self, timers: Timers) -> None:
        there = timezone(timedelta(hours=5, minutes=30))
        await timers.change(set=[timer("a", after(hours=1).astimezone(there))], cancel=(), lease=LEASE)
        assert await self.due(timers, after(minutes=59).astimezone(there)) == []
        assert await self.due(timers, after(hours=1).astimezone(UTC)) == ["a"]

    async def test_the_oldest_come_first_and_no_more_than_asked_for(self, timers: Timers) -> None:
        moments = {"c": 3, "a": 1, "d": 4, "b": 2}
        await timers.change(
            set=[timer(id, after(seconds=second)) for id, second in moments.items()],
            cancel=(),
            lease=LEASE,
        )
        assert await self.due(timers, after(hours=1)) == ["a", "b", "c", "d"]
        assert await self.due(timers, after(hours=1), limit=2) == ["a", "b"]
        assert await self.due(timers, after(seconds=3)) == ["a", "b", "c"]

    async def test_those_of_some_tenants_are_left_out(self, timers: Timers) -> None:
        owners = {"a": TENANT, "b": 'ten"ant', "c": OTHER_TENANT, "d": TENANT, "e": OTHER_TENANT}
        await timers.change(
            set=[
                timer(id, after(seconds=second), tenant=tenant)
                for second, (id, tenant) in enumerate(owners.items())
            ],
            cancel=(),
            lease=LEASE,
        )
        for besides, left in (
            ([TENANT], ["b", "c", "e"]),
            (["nobody"], ["a", "b", "c", "d", "e"]),
            ([TENANT, 'ten"ant'], ["c", "e"]),
            ([TENANT, OTHER_TENANT, 'ten"ant'], []),
        ):
            found = await timers.due(after(hours=1), 10, besides=besides)
            assert [each.id for each in found] == left
        assert [each.id for each in await timers.due(after(hours=1), 2, besides=[TENANT])] == ["b", "c"]
        assert await timers.due(after(seconds=3), 10, besides=[TENANT, 'ten"ant']) == [
            timer("c", after(seconds=2), tenant=OTHER_TENANT)
        ]

    async def test_a_cancelled_timer_does_not_come_due(self, timers: Timers) -> None:
        await timers.change(set=[timer("a"), timer("b"), timer("c")], cancel=(), lease=LEASE)
        await timers.change(set=(), cancel=["a", "c", "never set"], lease=LEASE)
        assert await self.due(timers) == ["b"]

    async def test_setting_or_cancelling_twice_is_harmless(self, timers: Timers) -> None:
        for _ in range(2):
            await timers.change(set=[timer("a"), timer("b")], cancel=(), lease=LEASE)
            await timers.change(set=(), cancel=["b"], lease=LEASE)
        assert await self.due(timers) == ["a"]

    async def test_a_timer_that_is_set_anew_has_the_new_time(self, timers: Timers) -> None:
        await timers.change(set=[timer("a")], cancel=(), lease=LEASE)
        await timers.change(set=[timer("a", after(hours=1), attempt=2)], cancel=(), lease=LEASE)
        assert await self.due(timers) == []
        assert await timers.due(after(hours=1), 10) == [timer("a", after(hours=1), attempt=2)]

    async def test_one_change_may_set_and_cancel(self, timers: Timers) -> None:
        await timers.change(set=[timer("a")], cancel=(), lease=LEASE)
        await timers.change(set=[timer("b")], cancel=["a"], lease=LEASE)
        assert await self.due(timers) == ["b"]

    async def test_what_was_due_is_taken_away_or_put_off(self, timers: Timers) -> None:
        await timers.change(set=[timer(id) for id in "abcd"], cancel=(), lease=LEASE)
        a, _, c, d = await timers.due(NOW, 10)
        again = timer("d", after(hours=1))
        await timers.settle([Settled(a, None), Settled(c, None), Settled(d, again)], CLOCK)
        assert await self.due(timers) == ["b"]
        assert await timers.due(after(hours=1), 10) == [timer("b"), again]

    async def test_what_was_set_anew_or_cancelled_since_it_was_found_due_is_left_alone(
        self, timers: Timers
    ) -> None:
        await timers.change(set=[timer(id) for id in "abcdef"], cancel=(), lease=LEASE)
        a, b, c, d, e, f = await timers.due(NOW, 10)
        anew = [timer(id, after(minutes=5), attempt=2) for id in "bf"]
        await timers.change(set=anew, cancel=["c", "e"], lease=LEASE)
        put_off = [Settled(each, timer(each.id, after(hours=1))) for each in (d, e, f)]
        await timers.settle([Settled(a, None), Settled(b, None), Settled(c, None), *put_off], CLOCK)
        assert await self.due(timers) == []
        assert await timers.due(after(minutes=5), 10) == anew
        assert await self.due(timers, after(hours=1)) == ["b", "f", "d"]

    async def test_a_change_is_made_whole_or_not_at_all(self, timers: Timers) -> None:
        broken = timer("b", None)  # type: ignore[arg-type]
        with pytest.raises(Exception, match=r".+"):
            await timers.change(set=[timer("a"), broken], cancel=(), lease=LEASE)
        assert await self.due(timers) == []

    async def test_timers_are_there_after_a_restart(self, place: str) -> None:
        async with self.opened(place) as timers:
            await timers.change(set=[timer("a"), timer("b", after(hours=1))], cancel=(), lease=LEASE)
        async with self.opened(place) as timers:
            assert await self.due(timers) == ["a"]
            assert await self.due(timers, after(hours=1)) == ["a", "b"]


class TestSqliteTimers(TimersCases):
    @asynccontextmanager
    async def opened(self, place: str) -> AsyncIterator[Timers]:
        database = SqliteDatabase(Path(place), synchronous="NORMAL")
        try:
            timers = SqliteTimers(database)
            await timers.create()
            yield timers
        finally:
            database.close()

    async def test_a_locked_file_is_unavailable_and_nothing_is_changed(
        self, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite_database, "_LOCK_TIMEOUT_SECONDS", 0.05)
        async with self.opened(place) as timers:
            await timers.change(set=[timer("a")], cancel=(), lease=LEASE)
            other = sqlite3.connect(place, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable):
                await timers.change(set=[timer("b")], cancel=["a"], lease=LEASE)
            assert await self.due(timers) == ["a"]
            other.close()

    async def test_readers_and_a_writer_do_not_wait_for_each_other(self, place: str) -> None:
        async with self.opened(place) as timers, anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(self.due, timers)
                await timers.change(set=[timer(str(number))], cancel=(), lease=LEASE)
        async with self.opened(place) as timers:
            assert len(await self.due(timers)) == 20


@pytest.mark.postgres
class TestPostgresTimers(TimersCases):
    @pytest.fixture
    def place(self, postgres_store_url: str) -> str:
        return postgres_store_url

    @asynccontextmanager
    async def opened(self, place: str) -> AsyncIterator[Timers]:
        database = PostgresDatabase(place)
        await database.open()
        try:
            yield PostgresTimers(database)
        finally:
            await database.close()

    async def test_a_server_that_is_away_is_unavailable_and_comes_back(
        self, place: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("infrastructure.postgres.database._TIMEOUT_SECONDS", 0.2)
        async with self.opened(place) as timers:
            await timers.change(set=[timer("a")], cancel=(), lease=LEASE)
            with away(place), pytest.raises(StoreUnavailable):
                await timers.due(NOW, 10)
            with anyio.fail_after(20):
                while True:
                    try:
                        assert await self.due(timers) == ["a"]
                    except StoreUnavailable:
                        continue
                    break


@pytest.mark.cosmos
@UNVERIFIED
class TestCosmosTimers(TimersCases):
    where: Place

    @pytest.fixture(autouse=True)
    async def _placed(self, cosmos: Account) -> AsyncIterator[None]:
        async with place_in(cosmos) as self.where:
            yield

    @asynccontextmanager
    async def opened(self, place: str) -> AsyncIterator[Timers]:
        async with opened_in(self.where) as database:
            await CosmosLeases(database, COORDINATION).create()
            yield CosmosTimers(database, COORDINATION, setter=LEASE.name, clock=CLOCK.name)

    @asynccontextmanager
    async def held(self, *names: str) -> AsyncIterator[list[Lease]]:
        """Leases, which somebody else has afterwards."""
        async with opened_in(self.where) as database:
            leases = CosmosLeases(database, COORDINATION)
            held = await leases.hold(names, "me")
            yield [Held(name, held[name]) for name in names]
            await leases.release(names, "me")
            assert set(await leases.hold(names, "you")) == set(names)

    async def test_nobody_sets_timers_that_are_not_looked_for(self, timers: Timers) -> None:
        async with self.held("forgotten") as (forgotten,):
            with pytest.raises(ValueError, match="forgotten"):
                await timers.change(set=[timer("a")], cancel=(), lease=forgotten)

    async def test_who_has_lost_the_lease_changes_nothing(self, timers: Timers) -> None:
        async with self.held(LEASE.name, CLOCK.name) as (waits, clock):
            await timers.change(set=[timer("a")], cancel=(), lease=waits)
            (found,) = await timers.due(NOW, 10)
        for again in (timer("a", after(hours=1)), None):
            with pytest.raises(LeaseLost):
                await timers.settle([Settled(found, again)], clock)
        with pytest.raises(LeaseLost):
            await timers.change(set=[timer("a", after(hours=1))], cancel=(), lease=waits)
        with pytest.raises(LeaseLost):
            await timers.change(set=(), cancel=["a"], lease=waits)
        assert await timers.due(NOW, 10) == [timer("a")]


@pytest.mark.postgres
async def test_a_database_that_does_not_exist_is_unavailable_at_the_opening(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.postgres.database._OPEN_SECONDS", 0.3)
    database = PostgresDatabase(f"{postgres_url}_none")
    with pytest.raises(StoreUnavailable):
        await database.open()
    await database.close()
