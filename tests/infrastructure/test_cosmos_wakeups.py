"""What another process appends to a log in Cosmos DB wakes who waits here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError
from structlog.testing import capture_logs

from application.event_store import EventStore
from application.shared_reads import SharedReads
from application.subscription import Subscription
from domain.errors import StoreUnavailable, VersionMismatch
from infrastructure.cosmos import wakeups as module
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.ends import BrokenLog
from infrastructure.cosmos.items import Items
from infrastructure.cosmos.leases import CosmosLeases
from infrastructure.cosmos.recorder import CosmosLogRecorder
from infrastructure.cosmos.wakeups import CosmosWakeups
from tests.application.logs import UNVERIFIED, OpenLogs, cosmos_settings, open_logs
from tests.application.test_event_store import OTHER_STREAM, append, runs_of
from tests.builders import OTHER_TENANT, TENANT
from tests.cosmos import Account
from tests.infrastructure.cosmos_places import COORDINATION, opened_in, place_in

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, UNVERIFIED]

_REFUSED = CosmosHttpResponseError(400, "Bad request")  # type: ignore[no-untyped-call]


class Process:
    """One of several on the log."""

    def __init__(self, logs: OpenLogs, database: CosmosDatabase, name: str) -> None:
        log = logs.open()
        assert isinstance(log.recorder, CosmosLogRecorder)
        self.store = EventStore(log)
        self.reads = SharedReads(self.store)
        self.wakeups = CosmosWakeups(self.store, log.recorder, database, COORDINATION, name)

    async def read(self, tenant: str) -> list[str]:
        batch = await self.reads.read(tenant, None, 10)
        return runs_of(batch.events) if batch else []


class Setting:
    """Processes on one log, and what they tell each other."""

    def __init__(self, here: Process, there: Process, items: Items) -> None:
        self.here = here
        self.there = there
        self.items = items

    async def news(self) -> dict[str, dict[str, int]]:
        found = await self.items.query("news", "SELECT * FROM c", {})
        return {item["id"]: item["newest"] for item in found}

    @asynccontextmanager
    async def running(self, *processes: Process) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            for process in processes:
                tasks.start_soon(process.wakeups.run)
            await anyio.sleep(0.3)
            yield
            tasks.cancel_scope.cancel()


@pytest.fixture
async def at(cosmos: Account, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Setting]:
    monkeypatch.setattr(module, "_HEAR_SECONDS", 0.05)
    monkeypatch.setattr(module, "_TELL_SECONDS", 0.05)
    async with place_in(cosmos) as place, opened_in(place) as database:
        await CosmosLeases(database, COORDINATION).create()
        with open_logs(cosmos_settings(cosmos, place.name)) as logs:
            here, there = (Process(logs, database, name) for name in ("here", "there"))
            yield Setting(here, there, Items(database, COORDINATION))
            here.store.close()
            there.store.close()


async def woken(alarm: Subscription) -> None:
    with anyio.fail_after(5):
        await alarm.wait(60)


async def test_an_append_is_told_to_the_others_who_then_find_it(at: Setting) -> None:
    async with at.running(at.here, at.there):
        alarm = at.there.store.subscribe()
        await append(at.here.store, "a")
        await woken(alarm)
        assert await at.there.read(TENANT) == ["a"]
        assert await at.there.read(OTHER_TENANT) == []
        await append(at.here.store, "x", stream=OTHER_STREAM)
        await woken(alarm)
        assert await at.there.read(OTHER_TENANT) == ["x"]
        assert set(await at.there.store.partitions()) == {TENANT, OTHER_TENANT}
    assert await at.news() == {"here": {TENANT: 1, OTHER_TENANT: 1}}


async def test_what_was_heard_is_not_told_again_and_what_is_old_not_any_more(
    at: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TOLD_SECONDS", 0.0)
    async with at.running(at.here, at.there):
        alarm = at.there.store.subscribe()
        await append(at.here.store, "a")
        await woken(alarm)
        await append(at.here.store, "x", stream=OTHER_STREAM)
        await woken(alarm)
        appends = at.there.store.appends(TENANT)
        await anyio.sleep(0.3)
        assert at.there.store.appends(TENANT) == appends
    assert await at.news() == {"here": {OTHER_TENANT: 1}}


async def test_a_refusal_beside_it_hides_no_append(at: Setting) -> None:
    """Commands that come at once are decided together."""

    async def give(number: int) -> None:
        with suppress(VersionMismatch):
            await append(at.here.store, "a", stream=f"{TENANT}/job/{number}")
            await append(at.here.store, "b", stream=f"{TENANT}/job/{number}", expected_version=number % 2)

    async with at.running(at.here):
        async with anyio.create_task_group() as commands:
            for number in range(20):
                commands.start_soon(give, number)
        await anyio.sleep(0.5)
    assert await at.news() == {"here": {TENANT: 30}}


async def test_what_nobody_told_of_is_found_by_looking_at_all(
    at: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_AT_ALL_SECONDS", 0.1)
    assert await at.there.read(TENANT) == []
    await append(at.here.store, "a")
    assert await at.there.read(TENANT) == [], "it was looked at a moment ago"
    alarm = at.there.store.subscribe()
    async with at.running(at.there):
        await woken(alarm)
        assert await at.there.read(TENANT) == ["a"]
    assert await at.news() == {}


async def test_a_tenant_whose_log_is_broken_keeps_nobody_from_being_found(
    at: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_AT_ALL_SECONDS", 0.2)
    await append(at.here.store, "a")
    await append(at.here.store, "x", stream=OTHER_STREAM)
    head = at.there.store.head

    async def broken(partition: str) -> str:
        if partition == TENANT:
            raise BrokenLog(TENANT)
        return await head(partition)

    monkeypatch.setattr(at.there.store, "head", broken)
    alarm = at.there.store.subscribe()
    with capture_logs() as told:
        async with at.running(at.there):
            await woken(alarm)
            assert await at.there.read(OTHER_TENANT) == ["x"]
            await append(at.here.store, "y", stream=OTHER_STREAM)
            await woken(alarm)
            assert await at.there.read(OTHER_TENANT) == ["x", "y"]
    assert [(each["event"], each["partition"]) for each in told] == [("partition_not_looked_at", TENANT)]


@pytest.mark.parametrize("error", [StoreUnavailable("away"), _REFUSED], ids=["away", "unthought of"])
async def test_an_account_that_does_not_answer_costs_a_moment(
    at: Setting, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    put, query = Items.put, Items.query

    async def away(*arguments: Any, **keywords: Any) -> Any:
        raise error

    async with at.running(at.here, at.there):
        for name in ("put", "query"):
            monkeypatch.setattr(Items, name, away)
        await append(at.here.store, "a")
        await anyio.sleep(0.2)
        alarm = at.there.store.subscribe()
        monkeypatch.setattr(Items, "put", put)
        monkeypatch.setattr(Items, "query", query)
        await woken(alarm)
        assert await at.there.read(TENANT) == ["a"]


async def test_what_a_process_that_is_gone_has_told_is_taken_away(
    at: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at.running(at.here):
        await append(at.here.store, "a")
        await anyio.sleep(0.3)
    assert set(await at.news()) == {"here"}
    monkeypatch.setattr(module, "_FORGOTTEN_SECONDS", 0.3)
    async with at.running(at.there):
        with anyio.fail_after(5):
            while await at.news():
                await anyio.sleep(0.05)
