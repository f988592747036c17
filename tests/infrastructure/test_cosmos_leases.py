"""Leases in Cosmos DB: the cases of every store, fences, and answers that were lost."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError

from application.store_clock import StoreClock
from domain.errors import LeaseLost, StoreUnavailable
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Items, Operation
from infrastructure.cosmos.leases import CosmosLeases, change_under
from infrastructure.cosmos.sessions import PARTITION, Session, Sessions
from tests.builders import Held
from tests.cosmos import Account
from tests.cosmos_gate import Refusal, gate_before
from tests.infrastructure.cosmos_places import COORDINATION, Observed, Place, opened_in, place_in
from tests.infrastructure.lease_cases import SECONDS, LeasesCases, taken

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, pytest.mark.filterwarnings("ignore:Unverified HTTPS")]


def created(id: str, name: str = "x") -> Operation:
    return ("create", ({"id": id, PARTITION_KEY: name},), {})


@pytest.fixture
async def database(cosmos: Account) -> AsyncIterator[CosmosDatabase]:
    async with place_in(cosmos) as place, opened_in(place) as database:
        yield database


@pytest.fixture
def store_clock() -> StoreClock:
    return StoreClock()


@pytest.fixture
async def leases(
    database: CosmosDatabase, store_clock: StoreClock, monkeypatch: pytest.MonkeyPatch
) -> CosmosLeases:
    monkeypatch.setattr(CosmosLeases, "seconds", SECONDS)
    leases = CosmosLeases(database, COORDINATION, store_clock)
    await leases.create()
    return leases


@pytest.fixture
def items(database: CosmosDatabase) -> Items:
    return Items(database, COORDINATION)


class TestLeasesInCosmos(LeasesCases):
    """The cases of every store, in Cosmos DB."""


async def test_of_many_who_ask_at_once_one_has_it(leases: CosmosLeases, database: CosmosDatabase) -> None:
    names = [f"part-{letter}" for letter in "abcd"]
    answers: list[set[str]] = []

    async def ask(number: int) -> None:
        answers.append(set(await CosmosLeases(database, COORDINATION).hold(names, f"holder-{number}")))

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(ask, number)
    assert sorted(name for answer in answers for name in answer) == names


async def test_a_change_under_a_lease_that_has_passed_on_is_refused_whole(
    leases: CosmosLeases, items: Items
) -> None:
    former = await taken(leases, "x", "a")
    assert await change_under(former, items, [created("first")]) is None
    present = await taken(leases, "x", "b")
    with pytest.raises(LeaseLost, match="x"):
        await change_under(former, items, [created("second")])
    assert await items.read("x", "second") is None
    assert await change_under(present, items, [created("third"), created("first")]) == 1
    assert await items.read("x", "third") is None


async def test_a_fence_is_never_given_again_even_where_the_container_was_lost(
    leases: CosmosLeases, items: Items
) -> None:
    first = await taken(leases, "x", "a")
    await items.delete("x", "lease")
    await items.delete("x", f"fence-{first.fence}")
    await anyio.sleep(0.002)
    assert ((await leases.hold(["x"], "b"))["x"] or 0) > (first.fence or 0)
    with pytest.raises(LeaseLost):
        await change_under(first, items, [created("late")])


async def test_a_lease_whose_answer_was_lost_is_known_to_be_held(
    leases: CosmosLeases, items: Items, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch went through, and its repetition found it in its way."""
    batch = Items.batch

    async def sent_twice(self: Items, tenant: str, operations: list[Operation]) -> int | None:
        await batch(self, tenant, operations)
        return await batch(self, tenant, operations)

    monkeypatch.setattr(Items, "batch", sent_twice)
    held = await leases.hold(["x"], "a")
    monkeypatch.undo()
    assert await change_under(Held("x", held["x"]), items, [created("first")]) is None


@pytest.mark.parametrize("status", [408, 429, 503])
async def test_what_is_refused_for_now_is_asked_again(plain_cosmos: Account, status: int) -> None:
    async with gate_before(plain_cosmos) as (gate, account), place_in(plain_cosmos) as place:
        async with opened_in(Place(account, place.name)) as database:
            leases = CosmosLeases(database, COORDINATION)
            await leases.create()
            gate.refusals = [Refusal(status, {"x-ms-retry-after-ms": "10"}) for _ in range(2)]
            assert set(await leases.hold(["x"], "a")) == {"x"}
            assert gate.refusals == []
        with pytest.raises(StoreUnavailable):
            await leases.hold(["x"], "a")


@pytest.mark.parametrize("status", [429, 449, 503])
async def test_a_batch_of_which_an_operation_is_refused_for_now_is_sent_again(
    leases: CosmosLeases, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    send = ContainerProxy.execute_item_batch
    refused: list[int] = []

    async def refuse_once(self: ContainerProxy, *arguments: Any, **keywords: Any) -> Any:
        if not refused:
            refused.append(status)
            raise CosmosBatchOperationError(  # type: ignore[no-untyped-call]
                error_index=0, headers={}, status_code=status, message="later", operation_responses=[]
            )
        return await send(self, *arguments, **keywords)

    monkeypatch.setattr(ContainerProxy, "execute_item_batch", refuse_once)
    assert set(await leases.hold(["x"], "a")) == {"x"}
    assert refused == [status]


async def test_who_holds_many_leases_asks_for_all_of_them_by_three_requests(
    cosmos: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"part-{number}" for number in range(30)]
    observed: list[Observed] = []
    async with place_in(cosmos) as place, opened_in(place, observed) as database:
        leases, standing_by = CosmosLeases(database, COORDINATION), CosmosLeases(database, COORDINATION)
        await leases.create()
        held = await leases.hold(names, "a")
        await leases.hold(names, "a")
        await standing_by.hold(names, "b")
        observed.clear()
        assert await leases.hold(names, "a") == held
        assert [operation for _, operation, *_ in observed] == ["batch", "query", "read"]
        observed.clear()
        assert await standing_by.hold(names, "b") == {}
        assert [operation for _, operation, *_ in observed] == ["batch", "query"]


async def test_shares_that_have_become_free_are_divided_at_the_first_look_of_each(
    leases: CosmosLeases, database: CosmosDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both choose the same, without having seen what the other chose; who comes late takes others."""
    monkeypatch.setattr("infrastructure.cosmos.balance.crc32", lambda _: 0)
    names = [f"part-{number}" for number in range(8)]
    ours, theirs = CosmosLeases(database, COORDINATION), CosmosLeases(database, COORDINATION)
    await leases.hold(names, "a")
    for each, holder in ((ours, "b"), (theirs, "c")):
        assert await each.hold(names, holder) == {}
    await leases.release(names, "a")
    first, second = await ours.hold(names, "b"), await theirs.hold(names, "c")
    assert (len(first), len(second)) == (4, 4)
    assert {*first, *second} == set(names)


async def test_a_session_is_ended_or_goes_on_and_never_both(items: Items, leases: CosmosLeases) -> None:
    """Who has seen no sign for long enough comes too late when there is one."""
    ours, theirs, session = Sessions(items), Sessions(items), Session("a")
    assert await ours.renew(session)
    await theirs.look(0)
    await anyio.sleep(0.01)
    await theirs.look(0)
    assert await ours.renew(session)
    assert not await theirs.has_ended(session.id, 0)
    await theirs.look(0)
    await anyio.sleep(0.01)
    await theirs.look(0)
    assert await theirs.has_ended(session.id, 0)
    assert not await ours.renew(session)
    assert await items.read(PARTITION, session.id) is None


async def test_a_session_that_began_after_one_has_looked_has_not_ended(
    items: Items, leases: CosmosLeases
) -> None:
    ours, theirs, session = Sessions(items), Sessions(items), Session("a")
    await theirs.look(SECONDS)
    assert await ours.renew(session)
    assert not await theirs.has_ended(session.id, SECONDS)
    assert await ours.renew(session)
    await ours.end(session)
    assert await theirs.has_ended(session.id, SECONDS)
    assert await items.read(PARTITION, session.id) is None


async def test_who_was_taken_for_dead_holds_nothing_and_begins_anew(
    leases: CosmosLeases, items: Items
) -> None:
    first = await taken(leases, "x", "a")
    (former,) = [item["id"] for item in await items.query(PARTITION, "SELECT * FROM c", {})]
    await items.delete(PARTITION, former)
    held = await leases.hold(["x"], "a")
    assert (held["x"] or 0) > (first.fence or 0)
    with pytest.raises(LeaseLost):
        await change_under(first, items, [created("late")])


async def test_a_lease_of_a_container_that_was_lost_is_not_held_any_more(
    leases: CosmosLeases, items: Items
) -> None:
    first = await taken(leases, "x", "a")
    await items.delete("x", "lease")
    await items.delete("x", f"fence-{first.fence}")
    held = await leases.hold(["x"], "a")
    assert (held["x"] or 0) > (first.fence or 0)


async def test_who_gives_everything_back_leaves_no_session(leases: CosmosLeases, items: Items) -> None:
    await leases.hold(["x", "y"], "a")
    await leases.release(["x"], "a")
    assert len(await items.query(PARTITION, "SELECT * FROM c", {})) == 1
    await leases.release(["y"], "a")
    assert await items.query(PARTITION, "SELECT * FROM c", {}) == []
