"""A replica that lags behind: what another process has just appended is not taken for absent."""

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from aiohttp import web
from anyio.to_thread import run_sync
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from application.event_store import EventStore
from application.shared_reads import SharedReads
from infrastructure.cosmos.containers import indexing_policy
from infrastructure.cosmos.recorder import CosmosLogRecorder
from infrastructure.cosmos.threaded import ThreadedContainer
from tests import cosmos_gate
from tests.application.logs import NO_ROOM, UNVERIFIED, OpenLogs, cosmos_settings, open_logs
from tests.application.test_event_store import STREAM, append, runs_of
from tests.builders import OTHER_TENANT, TENANT
from tests.cosmos import Account, fresh_database
from tests.cosmos_gate import Gate, gate_before
from tests.infrastructure.test_cosmos_segments import event, names, recorder_of

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, UNVERIFIED]


class Lagging:
    """Answers a client as things were, in each partition, until it has written an item there by itself."""

    def __init__(self, asked: ThreadedContainer, *partitions: str) -> None:
        self._real: Any = asked._container
        self._items = {each: {item["id"]: item for item in self._rows(each)} for each in partitions}
        self._caught_up: set[str] = set()
        self.written: list[str] = []
        asked._container = self  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def read_item(self, id: str, partition_key: str) -> Any:
        if partition_key in self._caught_up:
            return self._real.read_item(id, partition_key=partition_key)
        if id not in self._items.get(partition_key, {}):
            raise CosmosResourceNotFoundError()  # type: ignore[no-untyped-call]
        return self._items[partition_key][id]

    def query_items(self, statement: str, *, partition_key: str, **given: Any) -> Any:
        rows = self._real.query_items(statement, partition_key=partition_key, **given)
        if partition_key in self._caught_up:
            return rows
        return [row for row in rows if row["id"] in self._items.get(partition_key, {})]

    def catch_up(self, partition: str) -> None:
        """Lag no more."""
        self._caught_up.add(partition)

    def upsert_item(self, item: dict[str, Any], **given: Any) -> Any:
        self.written.append(item["tenantId"])
        self.catch_up(item["tenantId"])
        return self._real.upsert_item(item, **given)

    def _rows(self, partition: str) -> list[Any]:
        return list(self._real.query_items("SELECT * FROM c", partition_key=partition))


@pytest.fixture
def logs(cosmos: Account) -> Iterator[OpenLogs]:
    with open_logs(cosmos_settings(cosmos)) as logs:
        yield logs


@pytest.fixture
def here(logs: OpenLogs) -> CosmosLogRecorder:
    return recorder_of(logs.open())


@pytest.fixture
def there(logs: OpenLogs) -> CosmosLogRecorder:
    return recorder_of(logs.open())


@pytest.mark.parametrize("knew", [False, True])
def test_an_event_that_a_replica_does_not_have_yet_is_found(
    here: CosmosLogRecorder, there: CosmosLogRecorder, knew: bool
) -> None:
    here.insert_events([event("a", 1)])
    if knew:
        there.newest(TENANT)
    replica = Lagging(there._container, TENANT)
    here.insert_events([event("a", 2)])
    before = replica._rows(TENANT)
    assert names(there.select_after(TENANT, 0, 9)) == ["a1"], "the replica lags"
    assert there.at_each({TENANT: 2}) == {TENANT: (2, f"{TENANT}/job/a", 2)}
    assert replica.written == [TENANT]
    assert replica._rows(TENANT) == before, "nothing is left of what was written"
    assert names(there.select_after(TENANT, 0, 9)) == ["a1", "a2"]


def test_what_is_there_costs_no_write_and_what_is_not_costs_one(
    here: CosmosLogRecorder, there: CosmosLogRecorder
) -> None:
    here.insert_events([event("a", 1)])
    replica = Lagging(there._container, TENANT)
    assert there.at_each({TENANT: 1}) == {TENANT: (1, f"{TENANT}/job/a", 1)}
    assert replica.written == []
    assert there.at_each({TENANT: 2, OTHER_TENANT: 1}) == {TENANT: None, OTHER_TENANT: None}
    assert sorted(replica.written) == sorted([TENANT, OTHER_TENANT])
    assert replica._rows(OTHER_TENANT) == []


def test_an_event_is_found_in_a_segment_of_which_no_replica_has_told(cosmos: Account) -> None:
    with open_logs(cosmos_settings(cosmos, segment_bytes=NO_ROOM)) as logs:
        here, there = recorder_of(logs.open()), recorder_of(logs.open())
        here.insert_events([event("a", 1)])
        there.newest(TENANT)
        replica = Lagging(there._container, TENANT)
        for version in (2, 3):
            here.insert_events([event("a", version)])
        assert there.at_each({TENANT: 3}) == {TENANT: (3, f"{TENANT}/job/a", 3)}
        assert replica.written == [TENANT, f"{TENANT}~1", f"{TENANT}~2"]
        assert there.at_each({TENANT: 4}) == {TENANT: None}


def test_who_catches_up_finds_what_was_appended_behind_segments_of_which_no_replica_has_told(
    cosmos: Account,
) -> None:
    with open_logs(cosmos_settings(cosmos, segment_bytes=NO_ROOM)) as logs:
        here, there = recorder_of(logs.open()), recorder_of(logs.open())
        stream = str(event("a", 1).originator_id)
        here.insert_events([event("a", 1)])
        there.newest(TENANT)
        replica = Lagging(there._container, TENANT)
        for version in (2, 3):
            here.insert_events([event("a", version)])
        assert len(there.select_streams({stream: 0})) == 1, "the replica lags"
        there.catch_up(TENANT)
        assert len(there.select_streams({stream: 0})) == 3
        assert replica.written == [TENANT, f"{TENANT}~1", f"{TENANT}~2"]


async def test_a_position_of_another_process_is_one_of_this_log(logs: OpenLogs) -> None:
    """A share that is taken over would begin anew otherwise, and publish everything again."""
    here, there = logs.store(), logs.open()
    await append(here, "a")
    store = EventStore(there)
    Lagging(recorder_of(there)._container, TENANT)
    await append(here, "b", stream=STREAM)
    assert await store.knows(TENANT, await here.head(TENANT))
    store.close()


@pytest.mark.parametrize("had", [[], ["a"]])
async def test_what_this_process_was_told_of_is_looked_for_until_a_replica_has_it(
    logs: OpenLogs, had: list[str]
) -> None:
    """Nobody tells of it twice."""
    here, there = logs.store(), logs.open()
    for run in had:
        await append(here, run)
    store = EventStore(there)
    reads = SharedReads(store)
    replica = Lagging(recorder_of(there)._container, TENANT)
    await append(here, "b", stream=STREAM)
    store.notice(len(had) + 1, TENANT)
    batch = await reads.read(TENANT, None, 9)
    assert (runs_of(batch.events) if batch else []) == had, "the replica lags"
    position = batch.position if batch else None
    replica.catch_up(TENANT)
    with anyio.fail_after(5):
        while (batch := await reads.read(TENANT, position, 9)) is None:
            await anyio.sleep(0.01)
    assert runs_of(batch.events) == ["b"]
    store.close()


class SessionGate(Gate):
    """Tells of sessions, as the service does and the emulator does not; ``sent`` is what each query says."""

    def __init__(self, behind: str) -> None:
        super().__init__(behind)
        self.sent: list[str | None] = []
        self._writes = 0

    async def _hand_on(self, request: web.Request) -> web.Response:
        answer = await super()._hand_on(request)
        if "/docs" in request.path and "x-ms-documentdb-isquery" in request.headers:
            self.sent.append(request.headers.get("x-ms-session-token"))
        elif "/docs" in request.path:
            self._writes += 1
            answer.headers["x-ms-session-token"] = f"0:-1#{self._writes}"
            answer.headers["x-ms-alt-content-path"] = request.path.split("/docs")[0].strip("/")
        elif "/pkranges" in request.path and isinstance(answer.body, bytes):
            answer.body = answer.body.replace(b'"id":0', b'"id":"0"')
        return answer


async def test_what_was_written_binds_the_next_reading(
    plain_cosmos: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosmos_gate, "Gate", SessionGate)
    item = {"id": "a", "tenantId": TENANT}

    def written(account: Account) -> None:
        name, policy = fresh_database(), indexing_policy(())
        container = ThreadedContainer(account.endpoint, account.key, name, "items", policy)
        for write in (
            lambda: container.batch(TENANT, [("create", (item,), {}), ("delete", ("a",), {})]),
            lambda: container.catch_up(TENANT),
        ):
            write()
            container.query(TENANT, "FROM c", {})
        container.close()

    async with gate_before(plain_cosmos) as (gate, account):
        await run_sync(written, account)
        assert isinstance(gate, SessionGate)
        assert gate.sent == ["0:-1#1", "0:-1#3"]
