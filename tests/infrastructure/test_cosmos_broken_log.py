"""A tenant's partitions that do not fit together: nobody goes on there, and nobody waits for ever."""

from collections.abc import AsyncIterator, Callable

import anyio
import pytest
from anyio.to_thread import run_sync

from infrastructure.cosmos.audit_index import CosmosAuditIndex
from infrastructure.cosmos.ends import GATE_ID, ORDER_ID, SIGNPOST_ID, BrokenLog
from infrastructure.cosmos.log_container import LogContainer
from infrastructure.cosmos.recorder import CosmosLogRecorder
from infrastructure.cosmos.stored_log import CosmosStoredLog
from tests.application.logs import NO_ROOM, OpenLogs, cosmos_settings, open_logs
from tests.builders import OTHER_TENANT, TENANT
from tests.cosmos import Account
from tests.infrastructure.cosmos_places import Place, opened_in, place_in
from tests.infrastructure.test_cosmos_segments import event, names, recorder_of

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, pytest.mark.filterwarnings("ignore:Unverified HTTPS")]


@pytest.fixture
async def place(cosmos: Account) -> AsyncIterator[Place]:
    async with place_in(cosmos) as place:
        yield place


@pytest.fixture
async def logs(place: Place) -> AsyncIterator[OpenLogs]:
    with open_logs(cosmos_settings(place.account, place.name, segment_bytes=NO_ROOM)) as logs:
        yield logs


def closing_taken_back(container: LogContainer) -> None:
    """As a failover may do, or a restore, which leaves what followed."""
    order = container.read(TENANT, ORDER_ID)
    assert order is not None
    container.batch(TENANT, [("delete", (each,), {}) for each in (SIGNPOST_ID, GATE_ID)])
    container.put({"id": ORDER_ID, "tenantId": TENANT, **order["closed"]})


def order_deleted(container: LogContainer) -> None:
    container.batch(f"{TENANT}~1", [("delete", (ORDER_ID,), {})])


def another_beginning(container: LogContainer) -> None:
    """Than the end of the segment before."""
    order = container.read(f"{TENANT}~1", ORDER_ID)
    assert order is not None
    container.put(order | {"closed": order["closed"] | {"after_": 7}})


@pytest.mark.parametrize("broken", [closing_taken_back, order_deleted, another_beginning])
async def test_nothing_is_appended_or_told_and_another_tenant_is_not_held_up(
    place: Place, logs: OpenLogs, broken: Callable[[LogContainer], None]
) -> None:
    recorder = recorder_of(logs.open())
    for version in (1, 2, 3):
        recorder.insert_events([event("a", version)])
    recorder.insert_events([event("a", 1, OTHER_TENANT)])
    broken(recorder._container)

    async with opened_in(place) as database:
        index, stored = (
            CosmosAuditIndex(database, "workflow_events"),
            CosmosStoredLog(database, "workflow_events"),
        )
        for _ in range(2):
            with pytest.raises(BrokenLog):
                await index.head(TENANT)
            with pytest.raises(BrokenLog):
                await stored.read(TENANT, 0, 9)
        assert len(await stored.read(OTHER_TENANT, 0, 9)) == 1
    await run_sync(refuses_all_but_others, recorder_of(logs.open()))


def refuses_all_but_others(recorder: CosmosLogRecorder) -> None:
    """Again and again."""
    for _ in range(2):
        with pytest.raises(BrokenLog):
            recorder.insert_events([event("new", 1)])
        with pytest.raises(BrokenLog):
            recorder.select_after(TENANT, 0, 9)
        with pytest.raises(BrokenLog):
            recorder.select_events(f"{TENANT}/job/a")
    told = dict(recorder.at_each({TENANT: 1, OTHER_TENANT: 1}))
    assert isinstance(told.pop(TENANT), BrokenLog)
    assert told == {OTHER_TENANT: (1, f"{OTHER_TENANT}/job/a", 1)}
    assert recorder.insert_events([event("a", 2, OTHER_TENANT)]) == [2]


async def test_a_signpost_in_a_segment_that_is_open_holds_nobody_up(logs: OpenLogs) -> None:
    """Nothing here puts one there."""
    recorder = recorder_of(logs.open())
    recorder.insert_events([event("a", 1)])
    container = recorder._container
    container.put({"id": SIGNPOST_ID, "tenantId": TENANT, "position": 2})
    with anyio.fail_after(10):
        assert names(await run_sync(recorder.select_after, TENANT, 0, 9)) == ["a1"]
        assert await run_sync(recorder.at_each, {TENANT: 2}) == {TENANT: None}


async def test_a_deleted_event_before_a_signpost_is_passed_over(logs: OpenLogs) -> None:
    """The chain tells that it is gone."""
    recorder = recorder_of(logs.open())
    for version in (1, 2, 3):
        recorder.insert_events([event("a", version)])
    (gone,) = recorder._container.query(f"{TENANT}~1", "FROM c WHERE c.position = 2", {}, 1)
    recorder._container.batch(f"{TENANT}~1", [("delete", (gone["id"],), {})])
    assert names(recorder.select_after(TENANT, 0, 9)) == ["a1", "a3"]
    assert names(recorder.select_after(TENANT, 1, 1)) == ["a3"]
