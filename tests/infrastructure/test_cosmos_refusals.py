"""What Cosmos DB is asked, and what becomes of its refusals, seen at a gate in front of it.

The gate answers as the real service documents for throttling and outages: the emulators never do.
"""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import anyio
import pytest
from structlog.testing import capture_logs

from domain.errors import StoreUnavailable
from domain.values import SYSTEM_TENANT
from infrastructure.cosmos.checkpoints import CosmosCheckpoints
from infrastructure.cosmos.database import CosmosDatabase, Unusable
from infrastructure.cosmos.documents import CosmosDocuments
from infrastructure.cosmos.items import PARTITION_KEY, Items, Operation
from projections.ports import Query
from tests.builders import LEASE, OTHER_TENANT, TENANT
from tests.cosmos import Account
from tests.cosmos_gate import Gate, Refusal, gate_before
from tests.infrastructure.cosmos_places import Observed, Place, opened_in, place_in
from tests.infrastructure.things import OTHERS, THINGS, thing

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos]

LATER = {"x-ms-retry-after-ms": "400"}


class Gated:
    """Documents behind a gate."""

    def __init__(self, gate: Gate, place: Place, database: CosmosDatabase, observed: list[Observed]) -> None:
        self.gate = gate
        self.place = place
        self.database = database
        self.documents = CosmosDocuments(database)
        self.positions = CosmosCheckpoints(database, "workflow_positions")
        self.observed = observed


@pytest.fixture
async def gated(plain_cosmos: Account) -> AsyncIterator[Gated]:
    observed: list[Observed] = []
    async with gate_before(plain_cosmos) as (gate, account), place_in(plain_cosmos) as place:
        behind = Place(account, place.name)
        async with opened_in(behind, observed) as database:
            gated = Gated(gate, behind, database, observed)
            await gated.documents.create([THINGS, OTHERS])
            await gated.positions.create()
            yield gated


async def test_no_call_goes_without_a_partition_key_but_to_tell_whose_documents_are_cleared(
    gated: Gated,
) -> None:
    documents, positions = gated.documents, gated.positions
    keys = [(TENANT, "a"), (OTHER_TENANT, "a")]
    await documents.put(THINGS, [thing("a"), thing("a", tenant=OTHER_TENANT), thing("b")])
    await documents.put(THINGS, [thing("a", version=2)])
    await documents.get(THINGS, TENANT, "a")
    await documents.get_many(THINGS, keys)
    page = await documents.query(THINGS, TENANT, Query(limit=1))
    for equal in ({}, {"kind": "x"}, {"kind": "x", "status": "y"}):
        query = Query(equal=equal, after=page.next_after, sort_from="2025", sort_before="2027")
        await documents.query(THINGS, TENANT, query)
    before = len(gated.gate.asked)
    await documents.clear(THINGS)
    (asked_whose,) = gated.gate.asked[before:]
    assert (asked_whose.method, asked_whose.crosses_partitions) == ("POST", True)
    await documents.ping()
    await positions.save("things", "log", "log-1", LEASE)
    await positions.load("things", "log", LEASE)
    await positions.forget_all("things")
    asked = [each for each in gated.gate.asked if each is not asked_whose]
    assert {each.method for each in asked} == {"GET", "POST", "PUT", "DELETE"}
    assert len(asked) > 20
    assert [each for each in asked if each.crosses_partitions] == []
    assert {each.partition_key for each in asked} == {
        f'["{tenant}"]' for tenant in (TENANT, OTHER_TENANT, SYSTEM_TENANT)
    }


@pytest.mark.parametrize("status", [429, 503, 408, 449])
async def test_a_call_waits_as_long_as_the_server_asks(gated: Gated, status: int) -> None:
    await gated.documents.put(THINGS, [thing("a")])
    gated.gate.refusals = [Refusal(status, LATER), Refusal(status, LATER)]
    began = time.monotonic()
    assert await gated.documents.get(THINGS, TENANT, "a") == thing("a")
    assert 0.8 <= time.monotonic() - began < 2
    gated.gate.refusals = [Refusal(status, LATER)]
    began = time.monotonic()
    await gated.documents.put(THINGS, [thing("b")])
    assert 0.4 <= time.monotonic() - began < 2
    gated.gate.refusals = [Refusal(status, LATER)]
    assert (await gated.documents.query(THINGS, TENANT, Query())).total == 2
    assert [each.status for each in gated.gate.asked].count(status) == 4


async def test_a_refusal_without_advice_is_asked_again_after_a_while(gated: Gated) -> None:
    gated.gate.refusals = [Refusal(503), Refusal(503, {"Retry-After": "Mon, 23 Nov 2026 21:00:00 GMT"})]
    await gated.documents.put(THINGS, [thing("a")])
    assert await gated.documents.get(THINGS, TENANT, "a") == thing("a")


async def test_a_server_that_wants_more_time_than_a_caller_has_is_unavailable_at_once(gated: Gated) -> None:
    gated.gate.refuses_everything = Refusal(503, {"Retry-After": "60"})
    with anyio.fail_after(3), pytest.raises(StoreUnavailable, match="503"):
        await gated.documents.get(THINGS, TENANT, "a")


async def test_a_server_that_keeps_throttling_is_unavailable_in_the_end_and_comes_back(gated: Gated) -> None:
    gated.gate.refuses_everything = Refusal(429, {"x-ms-retry-after-ms": "100"})
    with anyio.fail_after(15), pytest.raises(StoreUnavailable, match="429"):
        await gated.documents.put(THINGS, [thing(str(number)) for number in range(20)])
    gated.gate.refuses_everything = None
    await gated.documents.put(THINGS, [thing("a")])
    assert await gated.documents.get(THINGS, TENANT, "a") == thing("a")


async def test_a_server_that_hangs_is_unavailable_after_a_while_and_comes_back(
    gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.cosmos.database._LONGEST_CALL_SECONDS", 0.3)
    gated.gate.holds_back_seconds = 30
    for work in (gated.documents.get(THINGS, TENANT, "a"), gated.documents.put(THINGS, [thing("a")])):
        with anyio.fail_after(2), pytest.raises(StoreUnavailable, match="no answer in time"):
            await work
    monkeypatch.undo()
    gated.gate.holds_back_seconds = 0
    await gated.documents.put(THINGS, [thing("a")])
    assert await gated.documents.get(THINGS, TENANT, "a") == thing("a")


async def test_every_try_is_charged_and_the_call_is_observed_once(gated: Gated) -> None:
    gated.observed.clear()
    gated.gate.refusals = [Refusal(503, {**LATER, "x-ms-request-charge": "0.5"})]
    await gated.documents.get(THINGS, TENANT, "a")
    ((container, operation, charge, seconds),) = gated.observed
    assert (container, operation) == ("things", "read")
    assert charge == 1.5
    assert seconds >= 0.4


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_what_no_caller_can_mend_is_unavailable(gated: Gated, status: int) -> None:
    gated.gate.refuses_everything = Refusal(status)
    for work in (gated.documents.ping(), gated.documents.get(THINGS, TENANT, "a")):
        with pytest.raises(StoreUnavailable, match=str(status)):
            await work


@pytest.mark.parametrize("status", [400, 413])
async def test_a_document_that_is_refused_is_left_out_and_is_no_outage(gated: Gated, status: int) -> None:
    gated.gate.refusals = [Refusal(404), Refusal(status)]
    with capture_logs() as logs:
        await gated.documents.put(THINGS, [thing("a"), thing("b")])
    (told,) = [each for each in logs if each["event"] == "document_refused"]
    kept = await gated.documents.get_many(THINGS, [(TENANT, "a"), (TENANT, "b")])
    assert {"a", "b"} - {id for _, id in kept} == {told["id"]}


async def test_a_container_that_is_gone_is_unavailable_and_no_missing_document(gated: Gated) -> None:
    gated.gate.refuses_everything = Refusal(404, {"x-ms-substatus": "1003"})
    for work in (
        gated.documents.get(THINGS, TENANT, "a"),
        gated.documents.put(THINGS, [thing("a")]),
        gated.documents.query(THINGS, TENANT, Query()),
        gated.positions.forget_all("things"),
    ):
        with pytest.raises(StoreUnavailable, match="404"):
            await work


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key_is_not_waited_for(gated: Gated, status: int) -> None:
    gated.gate.refuses_everything = Refusal(status)
    with anyio.fail_after(5), pytest.raises(Unusable, match=str(status)):
        async with opened_in(gated.place):
            pass


async def test_a_server_that_is_away_is_unavailable_soon_and_used_again_when_it_is_back(
    plain_cosmos: Account,
) -> None:
    async with place_in(plain_cosmos) as place, AsyncExitStack() as stack:
        async with gate_before(plain_cosmos) as (_, account):
            behind = Place(account, place.name)
            database = await stack.enter_async_context(opened_in(behind))
            documents = CosmosDocuments(database)
            await documents.create([THINGS])
            await documents.put(THINGS, [thing("a")])
        for work in (documents.ping(), documents.put(THINGS, [thing("a", version=2)])):
            with anyio.fail_after(10), pytest.raises(StoreUnavailable, match="things"):
                await work
        with anyio.fail_after(15), pytest.raises(StoreUnavailable, match="account"):
            async with opened_in(behind):
                pass
        async with gate_before(plain_cosmos, port=int(account.endpoint.rpartition(":")[2])):
            await documents.put(THINGS, [thing("a", version=2)])
            assert await documents.get(THINGS, TENANT, "a") == thing("a", version=2)


async def test_what_is_closed_is_unavailable_and_not_broken(plain_cosmos: Account) -> None:
    async with place_in(plain_cosmos) as place:
        async with opened_in(place) as database:
            documents = CosmosDocuments(database)
            await documents.create([THINGS])
        for work in (documents.ping(), documents.get(THINGS, TENANT, "a")):
            with pytest.raises(StoreUnavailable, match="closed"):
                await work


async def test_a_batch_that_is_sent_again_overwrites_nobody(gated: Gated) -> None:
    items = Items(gated.database, "workflow_positions")
    ours = {"id": "a", PARTITION_KEY: TENANT}
    await items.put(ours)
    there = await items.read(TENANT, "a")
    assert there is not None
    await items.put(ours | {"by": "somebody else"})
    gated.gate.refusals = [Refusal(503, {"x-ms-retry-after-ms": "10"}, is_of_an_operation=True)]
    change: Operation = ("replace", ("a", ours), {"if_match_etag": there["_etag"]})
    assert await items.batch(TENANT, [change]) == 0
    assert gated.gate.refusals == []
