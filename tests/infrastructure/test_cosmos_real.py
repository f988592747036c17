"""What only a real Cosmos DB account shows. These run with ``COSMOS_TEST_ENDPOINT`` and ``COSMOS_TEST_KEY``.

Several physical partitions need more data or throughput than a test should pay for: no test is here.
"""

import base64
from collections.abc import AsyncIterator

import pytest
from azure.cosmos import PartitionKey, ThroughputProperties
from structlog.testing import capture_logs

from infrastructure.cosmos.containers import CosmosContainers, policy_of
from infrastructure.cosmos.database import CosmosDatabase, Unusable
from infrastructure.cosmos.documents import CosmosDocuments
from projections.ports import Query
from tests.builders import TENANT
from tests.cosmos import Account
from tests.infrastructure.cosmos_places import Observed, Place, opened_in, place_in
from tests.infrastructure.things import THINGS, thing

pytestmark = [pytest.mark.anyio, pytest.mark.real_cosmos]

LEAST_THROUGHPUT = 400


@pytest.fixture
async def place(real_cosmos: Account) -> AsyncIterator[Place]:
    async with place_in(real_cosmos) as place:
        yield place


@pytest.fixture
async def database(place: Place) -> AsyncIterator[CosmosDatabase]:
    async with opened_in(place) as database:
        yield database


async def test_a_wrong_key_is_refused(place: Place) -> None:
    wrong = Account(place.account.endpoint, base64.b64encode(b"x" * 64).decode(), is_real=True)
    with pytest.raises(Unusable, match="401"):
        async with opened_in(Place(wrong, place.name)):
            pass


async def test_a_burst_is_throttled_charged_and_written_whole(place: Place) -> None:
    observed: list[Observed] = []
    async with opened_in(place, observed) as database:
        await database.proxy.create_container(
            THINGS.name,
            PartitionKey("/tenantId"),
            indexing_policy=policy_of(THINGS),
            offer_throughput=LEAST_THROUGHPUT,
        )
        documents = CosmosDocuments(database)
        await documents.create([THINGS])
        for start in range(0, 2000, 500):
            await documents.put(THINGS, [thing(f"{start + number:04}") for number in range(500)])
        assert (await documents.query(THINGS, TENANT, Query())).total == 2000
    created = [charge for _, operation, charge, _ in observed if operation == "create"]
    assert min(created) > 1
    assert max(seconds for *_, seconds in observed) > 0.2


async def test_what_was_written_is_read_at_once_in_a_session(database: CosmosDatabase) -> None:
    documents = CosmosDocuments(database)
    await documents.create([THINGS])
    for version in range(1, 50):
        await documents.put(THINGS, [thing("a", version=version)])
        assert await documents.get(THINGS, TENANT, "a") == thing("a", version=version)


async def test_every_order_is_served_by_a_composite_index(database: CosmosDatabase) -> None:
    documents = CosmosDocuments(database)
    await documents.create([THINGS])
    await documents.put(THINGS, [thing(str(number), kind="x", status="y") for number in range(30)])
    for equal in ({}, {"kind": "x"}, {"status": "y"}, {"kind": "x", "status": "y"}):
        page = await documents.query(THINGS, TENANT, Query(equal=equal, limit=10))
        rest = await documents.query(THINGS, TENANT, Query(equal=equal, after=page.next_after, limit=30))
        assert (len(page.documents), len(rest.documents), rest.total) == (10, 20, 30)


async def test_a_document_above_two_megabytes_is_refused_and_is_no_outage(database: CosmosDatabase) -> None:
    documents = CosmosDocuments(database)
    await documents.create([THINGS])
    with capture_logs() as logs:
        await documents.put(THINGS, [thing("a", text="x" * 2_200_000), thing("b")])
    assert [each["id"] for each in logs if each["event"] == "document_refused"] == ["a"]
    assert await documents.get(THINGS, TENANT, "b") is not None


async def test_an_emptied_container_keeps_its_throughput(database: CosmosDatabase) -> None:
    await CosmosDocuments(database).create([THINGS])
    proxy = database.proxy.get_container_client(THINGS.name)
    await proxy.replace_throughput(ThroughputProperties(offer_throughput=600))
    await CosmosContainers(database).empty(THINGS.name, policy_of(THINGS))
    assert (await proxy.get_throughput()).offer_throughput == 600
