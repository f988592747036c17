"""Documents in Cosmos DB: the cases of every store, and what is Cosmos DB's own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest
from azure.cosmos import PartitionKey
from structlog.testing import capture_logs

from domain.errors import StoreUnavailable
from infrastructure.cosmos.containers import CosmosContainers, orders, policy_of
from infrastructure.cosmos.database import CosmosDatabase, Unusable
from infrastructure.cosmos.documents import CosmosDocuments
from infrastructure.cosmos.items import Items
from projections.ports import Document, Query
from tests.builders import OTHER_TENANT, TENANT
from tests.cosmos import Account, administrator
from tests.infrastructure.cosmos_places import Observed, Place, opened_in, place_in
from tests.infrastructure.test_documents import LastingDocumentsCases
from tests.infrastructure.things import OTHERS, THINGS, ids, thing

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos]


@pytest.fixture
async def place(cosmos: Account) -> AsyncIterator[Place]:
    async with place_in(cosmos) as place:
        yield place


@pytest.fixture
async def database(place: Place) -> AsyncIterator[CosmosDatabase]:
    async with opened_in(place) as database:
        yield database


@pytest.fixture
async def documents(database: CosmosDatabase) -> CosmosDocuments:
    documents = CosmosDocuments(database)
    await documents.create([THINGS, OTHERS])
    return documents


class TestCosmosDocuments(LastingDocumentsCases):
    place: Place

    @pytest.fixture(autouse=True)
    def _placed(self, place: Place) -> None:
        self.place = place

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[CosmosDocuments]:
        async with opened_in(self.place) as database:
            documents = CosmosDocuments(database)
            await documents.create([THINGS, OTHERS])
            yield documents


async def test_an_item_is_the_document_and_the_version_of_its_stream(
    documents: CosmosDocuments, place: Place
) -> None:
    await documents.put(THINGS, [thing("a", version=3, kind="x")])
    async with administrator(place.account) as client:
        container = client.get_database_client(place.name).get_container_client(THINGS.name)
        item = await container.read_item("a", partition_key=TENANT)
    own = {name: value for name, value in item.items() if not name.startswith("_")}
    assert own == {
        "id": "a",
        "tenantId": TENANT,
        "createdAt": "2026-01-01",
        "kind": "x",
        "streamVersion": 3,
    }


async def test_what_cosmos_adds_never_leaves(documents: CosmosDocuments) -> None:
    await documents.put(THINGS, [thing("a")])
    got = await documents.get(THINGS, TENANT, "a")
    many = await documents.get_many(THINGS, [(TENANT, "a")])
    page = await documents.query(THINGS, TENANT, Query())
    for document in (got, *many.values(), *page.documents):
        assert document == thing("a")


async def test_an_item_that_another_service_wrote_without_a_version_is_older_than_all(
    documents: CosmosDocuments, database: CosmosDatabase
) -> None:
    await Items(database, THINGS.name).create({"id": "a", "tenantId": TENANT, "createdAt": "2026"})
    assert await documents.get(THINGS, TENANT, "a") == thing("a", version=0, at="2026")
    await documents.put(THINGS, [thing("a")])
    assert await documents.get(THINGS, TENANT, "a") == thing("a")


async def test_what_another_service_has_put_there_stays_where_all_of_ours_goes(
    documents: CosmosDocuments, database: CosmosDatabase
) -> None:
    """As where documents are derived from another log than before."""
    anothers = {"id": "x", "tenantId": TENANT, "createdAt": "2026"}
    await Items(database, THINGS.name).create(anothers)
    tenants = (TENANT, OTHER_TENANT)
    await documents.put(THINGS, [thing(f"a{n}", tenant=tenant) for tenant in tenants for n in range(120)])
    await documents.clear(THINGS)
    for tenant, left in ((TENANT, ["x"]), (OTHER_TENANT, [])):
        assert ids(await documents.query(THINGS, tenant, Query(limit=200))) == left
    assert [page async for page in documents.of_another(THINGS)] == [[anothers]]


async def test_of_writers_at_the_same_time_the_newest_version_stays(place: Place) -> None:
    async with AsyncExitStack() as stack:
        writers = []
        for _ in range(3):
            database = await stack.enter_async_context(opened_in(place))
            writers.append(CosmosDocuments(database))
            await writers[-1].create([THINGS])
        for round in range(1, 6):
            versions = [round * 10 + number for number in range(6)]
            async with anyio.create_task_group() as group:
                for number, version in enumerate(versions):
                    document = thing("a", version=version, wrote=version)
                    group.start_soon(writers[number % 3].put, THINGS, [document])
            found = await writers[0].get(THINGS, TENANT, "a")
            assert found == thing("a", version=max(versions), wrote=max(versions))


async def test_an_item_that_changes_between_reading_and_writing_is_looked_at_again(
    documents: CosmosDocuments, database: CosmosDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = Items(database, THINGS.name)
    await documents.put(THINGS, [thing("a", version=1)])
    stale = await items.read(TENANT, "a")
    assert stale is not None
    await documents.put(THINGS, [thing("a", version=5)])
    assert await items.replace({**stale, "streamVersion": 3}, stale["_etag"]) is False
    assert await items.create({"id": "a", "tenantId": TENANT}) is False
    assert await items.replace({"id": "b", "tenantId": TENANT}, stale["_etag"]) is False
    assert await documents.get(THINGS, TENANT, "a") == thing("a", version=5)


async def test_a_document_made_out_of_one_that_is_not_there_is_refused(documents: CosmosDocuments) -> None:
    def made(version: int, based_on: int) -> Document:
        return msgspec.structs.replace(thing("a", version=version), based_on=based_on)

    await documents.put(THINGS, [made(3, based_on=0)])
    for based_on in (0, 2, 4):
        with pytest.raises(StoreUnavailable, match="is at version 3, and was read at"):
            await documents.put(THINGS, [made(5, based_on=based_on)])
    assert await documents.get(THINGS, TENANT, "a") == thing("a", version=3)
    await documents.put(THINGS, [made(5, based_on=3)])
    assert await documents.get(THINGS, TENANT, "a") == thing("a", version=5)


async def test_a_document_without_its_own_id_and_tenant_is_refused(documents: CosmosDocuments) -> None:
    for tenant, id in ((OTHER_TENANT, "a"), (TENANT, "b")):
        with pytest.raises(ValueError, match="does not hold its own id and tenantId"):
            await documents.put(THINGS, [Document(tenant, id, 1, thing("a").body)])


@pytest.mark.parametrize("id", ["a/b", "a\\b", "a?b", "a#b"])
async def test_an_id_that_cosmos_cannot_hold_is_refused(documents: CosmosDocuments, id: str) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        await documents.put(THINGS, [thing(id)])
    with pytest.raises(ValueError, match="cannot hold"):
        await documents.get(THINGS, TENANT, id)


async def test_containers_are_made_as_the_contract_and_the_queries_want_them(
    documents: CosmosDocuments, place: Place
) -> None:
    async with administrator(place.account) as client:
        properties = await client.get_database_client(place.name).get_container_client(THINGS.name).read()
    assert properties["partitionKey"]["paths"] == ["/tenantId"]
    policy = properties["indexingPolicy"]
    assert {each["path"] for each in policy["includedPaths"]} == {
        "/tenantId/?",
        "/createdAt/?",
        "/kind/?",
        "/status/?",
        "/due/?",
        "/asked/[]/?",
        "/done/[]/?",
    }
    assert "/*" in {each["path"] for each in policy["excludedPaths"]}
    composites = [[(part["path"], part["order"]) for part in each] for each in policy["compositeIndexes"]]
    assert composites == [[(f"/{field}", "descending") for field in order] for order in orders(THINGS)]
    assert len(composites) == 4


async def test_a_container_that_is_there_keeps_its_indexes_and_gets_those_it_lacks(
    database: CosmosDatabase, place: Place
) -> None:
    theirs = policy_of(OTHERS) | {"includedPaths": [{"path": "/*"}], "excludedPaths": []}
    await CosmosContainers(database).ensure(THINGS.name, theirs)
    documents = CosmosDocuments(database)
    await documents.create([THINGS])
    await documents.put(THINGS, [thing("a")])
    await documents.create([THINGS])
    async with administrator(place.account) as client:
        properties = await client.get_database_client(place.name).get_container_client(THINGS.name).read()
    policy = properties["indexingPolicy"]
    assert policy["includedPaths"] == [{"path": "/*"}]
    assert len(policy["compositeIndexes"]) == len(orders(THINGS))
    assert await documents.get(THINGS, TENANT, "a") == thing("a")


async def test_a_container_from_before_its_lists_were_asked_for_gets_an_index_on_them(
    database: CosmosDatabase, place: Place
) -> None:
    before = msgspec.structs.replace(THINGS, list_fields=())
    documents = CosmosDocuments(database)
    await documents.create([before])
    await documents.create([THINGS])
    await documents.put(THINGS, [thing("a", asked=["ada"])])
    async with administrator(place.account) as client:
        properties = await client.get_database_client(place.name).get_container_client(THINGS.name).read()
    included = [each["path"] for each in properties["indexingPolicy"]["includedPaths"]]
    assert included[-2:] == ["/asked/[]/?", "/done/[]/?"]
    assert set(included[:-2]) == {each["path"] for each in policy_of(before)["includedPaths"]}
    assert ids(await documents.query(THINGS, TENANT, Query(any_of={"asked": ["ada"]}))) == ["a"]


async def test_a_container_with_another_partition_key_is_refused(
    database: CosmosDatabase, place: Place
) -> None:
    await database.proxy.create_container(THINGS.name, PartitionKey("/customerId"))
    with pytest.raises(Unusable, match=r"partitioned by /customerId, and not by /tenantId"):
        await CosmosDocuments(database).create([THINGS])


async def test_containers_that_are_not_there_are_told(database: CosmosDatabase) -> None:
    documents = CosmosDocuments(database)
    await documents.create([THINGS])
    assert await documents.missing([THINGS, OTHERS]) == [OTHERS]


async def test_every_call_is_observed_with_its_charge(place: Place) -> None:
    observed: list[Observed] = []
    async with opened_in(place, observed) as database:
        documents = CosmosDocuments(database)
        await documents.create([THINGS])
        observed.clear()
        await documents.put(THINGS, [thing("a"), thing("b")])
        await documents.put(THINGS, [thing("a", version=2)])
        await documents.query(THINGS, TENANT, Query(limit=1))
        await documents.get(THINGS, TENANT, "missing")
    assert sorted((container, operation) for container, operation, *_ in observed) == [
        ("things", "count"),
        ("things", "create"),
        ("things", "create"),
        ("things", "query"),
        ("things", "read"),
        ("things", "read"),
        ("things", "read"),
        ("things", "read"),
        ("things", "replace"),
    ]
    assert all(charge > 0 and 0 < seconds < 20 for _, _, charge, seconds in observed)


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_what_cosmos_db_refuses_is_left_out_and_told(documents: CosmosDocuments) -> None:
    large = thing("large", kind="x" * 2_100_000)
    with capture_logs() as logs:
        await documents.put(THINGS, [thing("a"), large, thing("b")])
    assert set(await documents.get_many(THINGS, [(TENANT, id) for id in ("a", "large", "b")])) == {
        (TENANT, "a"),
        (TENANT, "b"),
    }
    (told,) = [each for each in logs if each["event"] == "document_refused"]
    assert (told["tenant"], told["id"], told["error"][:3]) == (TENANT, "large", "413")
