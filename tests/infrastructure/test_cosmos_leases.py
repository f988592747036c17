"""Leases in Cosmos DB: the cases of every store, fences, and answers that were lost."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError

from domain.errors import LeaseLost, StoreUnavailable
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Items, Operation
from infrastructure.cosmos.leases import CosmosLeases, change_under
from tests.builders import Held
from tests.cosmos import Account
from tests.cosmos_gate import Refusal, gate_before
from tests.infrastructure.cosmos_places import COORDINATION, Place, opened_in, place_in
from tests.infrastructure.lease_cases import SECONDS, LeasesCases, taken

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, pytest.mark.filterwarnings("ignore:Unverified HTTPS")]


def created(id: str, name: str = "x") -> Operation:
    return ("create", ({"id": id, PARTITION_KEY: name},), {})


@pytest.fixture
async def database(cosmos: Account) -> AsyncIterator[CosmosDatabase]:
    async with place_in(cosmos) as place, opened_in(place) as database:
        yield database


@pytest.fixture
async def leases(database: CosmosDatabase, monkeypatch: pytest.MonkeyPatch) -> CosmosLeases:
    monkeypatch.setattr(CosmosLeases, "seconds", SECONDS)
    leases = CosmosLeases(database, COORDINATION)
    await leases.create()
    return leases


@pytest.fixture
def items(database: CosmosDatabase) -> Items:
    return Items(database, COORDINATION)


class TestLeasesInCosmos(LeasesCases):
    """The cases of every store, in Cosmos DB."""


async def test_of_many_who_ask_at_once_one_has_it(leases: CosmosLeases, database: CosmosDatabase) -> None:
    names = [f"part-{number}" for number in range(4)]
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
