"""What every store of calls to be made does."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import psycopg
import pytest

from application.ports import StepCall, StepCalls
from domain.errors import LeaseLost
from infrastructure.cosmos.leases import CosmosLeases
from infrastructure.cosmos.step_calls import CosmosStepCalls
from infrastructure.cosmos.transactions import MOST_OPERATIONS
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.leases import PostgresLeases
from infrastructure.postgres.step_calls import _WAITING, PostgresStepCalls
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.step_calls import SqliteStepCalls
from tests.application.logs import UNVERIFIED
from tests.application.test_http_requests import call
from tests.builders import LEASE, OTHER_TENANT, TENANT, Held, after, metadata
from tests.cosmos import Account
from tests.infrastructure.cosmos_places import COORDINATION, Place, opened_in, place_in

pytestmark = pytest.mark.anyio


def waiting(id: str, *, service: str = "ml_service", tenant: str = TENANT, second: float = 0) -> StepCall:
    return msgspec.structs.replace(
        call({"method": "POST", "path": "/v1/{a}"}, {"a": "ü", "b": [1, None, {"c": 2.5}]}),
        id=id,
        service=service,
        dispatched_at=after(seconds=second),
        deadline_at=after(minutes=5),
        meta=metadata(tenant=tenant, command_id=id),
    )


class StepCallsCases:
    """What every store of calls does."""

    def opened(self, place: str) -> AbstractAsyncContextManager[StepCalls]:
        """The store; the same place, the same calls."""
        raise NotImplementedError

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "calls.db")

    @pytest.fixture
    async def calls(self, place: str) -> AsyncIterator[StepCalls]:
        async with self.opened(place) as calls:
            yield calls

    async def ids(self, calls: StepCalls, *, each: int = 100, besides: tuple[str, ...] = ()) -> list[str]:
        return sorted(found.id for found in await calls.waiting(each=each, besides=besides))

    async def test_a_call_is_given_back_as_it_was_added(self, calls: StepCalls) -> None:
        await calls.change(add=[waiting("a")], remove=(), lease=LEASE)
        (found,) = await calls.waiting(each=10, besides=())
        assert found == msgspec.structs.replace(waiting("a"), meta=found.meta)
        assert found.meta.command_id == "a"

    async def test_a_call_without_a_deadline_has_none(self, calls: StepCalls) -> None:
        await calls.change(
            add=[msgspec.structs.replace(waiting("a"), deadline_at=None)], remove=(), lease=LEASE
        )
        (found,) = await calls.waiting(each=10, besides=())
        assert found.deadline_at is None

    async def test_an_empty_list_has_nothing(self, calls: StepCalls) -> None:
        assert await self.ids(calls) == []

    async def test_the_oldest_come_first_and_no_more_of_each_than_asked_for(self, calls: StepCalls) -> None:
        given = [waiting(id, second=second) for id, second in (("c", 3), ("a", 1), ("d", 4), ("b", 2))]
        await calls.change(add=given, remove=(), lease=LEASE)
        assert [found.id for found in await calls.waiting(each=3, besides=())] == ["a", "b", "c"]

    async def test_what_one_has_waiting_hides_nothing_of_another(self, calls: StepCalls) -> None:
        flood = [waiting(f"flood-{number}") for number in range(50)]
        others = [
            waiting("b", tenant=OTHER_TENANT, second=60),
            waiting("c", service="risk_analytics", second=60),
            waiting("d", service="an-unknown-one", tenant=OTHER_TENANT, second=60),
        ]
        await calls.change(add=[*flood, *others], remove=(), lease=LEASE)
        found = await self.ids(calls, each=2)
        assert [id for id in found if not id.startswith("flood")] == ["b", "c", "d"]
        assert len(found) == 5

    async def test_those_that_are_known_are_left_out_before_they_are_counted(self, calls: StepCalls) -> None:
        given = [waiting(id, second=number) for number, id in enumerate("abcd")]
        await calls.change(add=given, remove=(), lease=LEASE)
        assert await self.ids(calls, each=2, besides=("a", "b", "not there")) == ["c", "d"]

    async def test_adding_or_removing_twice_is_harmless(self, calls: StepCalls) -> None:
        for _ in range(2):
            await calls.change(add=[waiting("a"), waiting("b")], remove=(), lease=LEASE)
            await calls.change(add=(), remove=["b", "never there"], lease=LEASE)
        assert await self.ids(calls) == ["a"]

    async def test_one_change_may_add_and_remove(self, calls: StepCalls) -> None:
        await calls.change(add=[waiting("a")], remove=(), lease=LEASE)
        await calls.change(add=[waiting("b")], remove=["a"], lease=LEASE)
        assert await self.ids(calls) == ["b"]

    async def test_calls_are_there_after_a_restart(self, place: str) -> None:
        async with self.opened(place) as calls:
            await calls.change(add=[waiting("a"), waiting("b")], remove=(), lease=LEASE)
        async with self.opened(place) as calls:
            assert await self.ids(calls) == ["a", "b"]


class TestSqliteStepCalls(StepCallsCases):
    @asynccontextmanager
    async def opened(self, place: str) -> AsyncIterator[StepCalls]:
        database = SqliteDatabase(Path(place), synchronous="NORMAL")
        try:
            calls = SqliteStepCalls(database)
            await calls.create()
            yield calls
        finally:
            database.close()


@pytest.mark.cosmos
@UNVERIFIED
class TestCosmosStepCalls(StepCallsCases):
    where: Place

    @pytest.fixture(autouse=True)
    async def _placed(self, cosmos: Account) -> AsyncIterator[None]:
        async with place_in(cosmos) as self.where:
            yield

    @asynccontextmanager
    async def opened(self, place: str) -> AsyncIterator[StepCalls]:
        async with opened_in(self.where) as database:
            await CosmosLeases(database, COORDINATION).create()
            yield CosmosStepCalls(database, COORDINATION, "http-steps")

    async def test_who_has_lost_the_lease_changes_nothing(self, calls: StepCalls) -> None:
        async with opened_in(self.where) as database:
            leases = CosmosLeases(database, COORDINATION)
            former = Held("http-steps", (await leases.hold(["http-steps"], "me"))["http-steps"])
            await calls.change(add=[waiting("a")], remove=(), lease=former)
            await leases.release(["http-steps"], "me")
            assert await leases.hold(["http-steps"], "you")
        with pytest.raises(LeaseLost):
            await calls.change(add=[waiting("b")], remove=["a"], lease=former)
        assert await self.ids(calls) == ["a"]

    async def test_more_than_a_batch_takes_goes_in_several(self, calls: StepCalls) -> None:
        given = [waiting(f"{number:03}", second=number) for number in range(MOST_OPERATIONS + 1)]
        await calls.change(add=given, remove=(), lease=LEASE)
        assert len(await self.ids(calls, each=1000)) == len(given)
        await calls.change(add=(), remove=[call.id for call in given[1:]], lease=LEASE)
        assert await self.ids(calls) == ["000"]


@pytest.mark.postgres
class TestPostgresStepCalls(StepCallsCases):
    @pytest.fixture
    def place(self, postgres_store_url: str) -> str:
        return postgres_store_url

    @asynccontextmanager
    async def opened(self, place: str) -> AsyncIterator[StepCalls]:
        database = PostgresDatabase(place)
        await database.open()
        try:
            yield PostgresStepCalls(database)
        finally:
            await database.close()

    async def test_who_has_lost_the_lease_changes_nothing(self, calls: StepCalls, place: str) -> None:
        database = PostgresDatabase(place)
        await database.open()
        fence = (await PostgresLeases(database).hold(["http-steps"], "me"))["http-steps"]
        assert fence is not None
        await calls.change(add=[waiting("a")], remove=(), lease=Held("http-steps", fence))
        with pytest.raises(LeaseLost):
            await calls.change(add=[waiting("b")], remove=["a"], lease=Held("http-steps", fence - 1))
        assert await self.ids(calls) == ["a"]
        await database.close()

    async def test_a_look_does_not_go_through_all_that_waits(self, calls: StepCalls, place: str) -> None:
        flood = [waiting(f"flood-{number:05}", second=number) for number in range(5000)]
        await calls.change(add=[*flood, waiting("b", tenant=OTHER_TENANT)], remove=(), lease=LEASE)
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE step_calls")
            plan = connection.execute(
                "EXPLAIN (ANALYZE, FORMAT JSON) " + _WAITING, {"each": 4, "besides": ["flood-00000"]}
            ).fetchall()[0][0]

        def rows(node: dict[str, object]) -> float:
            own = 0.0
            if node.get("Relation Name") == "step_calls":
                own = float(str(node["Actual Rows"])) * float(str(node["Actual Loops"]))
            below = node.get("Plans", [])
            assert isinstance(below, list)
            return own + sum(rows(each) for each in below)

        assert rows(plan[0]["Plan"]) < 50
