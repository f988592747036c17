"""The log's tail: a partition that cannot be read keeps no other back."""

from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from structlog.testing import capture_logs

from application import partition_backoff
from application.audit.chain import tenant_of
from application.event_store import EventStore
from application.log_batches import LogBatch
from application.shared_reads import SharedReads
from application.tail import Tail
from domain.errors import StoreUnavailable
from tests.application.logs import UNVERIFIED, OpenLogs, cosmos_settings, open_logs
from tests.application.test_event_store import OTHER_STREAM, STREAM, append, runs_of
from tests.application.test_task_claims import Instance, listening
from tests.application.test_watching import is_woken, running, until_it_follows
from tests.builders import NOW, OTHER_TENANT, TENANT, SettableClock
from tests.cosmos import Account
from tests.harness import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, UNVERIFIED]

BOTH = {TENANT, OTHER_TENANT}


class Patchy(EventStore):
    """Some of its partitions are broken, or refused."""

    away: frozenset[str] = frozenset()
    seconds_to_fail = 0.0
    refusals = 0

    async def head(self, partition: str) -> str:
        await self._refuse(partition)
        return await super().head(partition)

    async def read(self, partition: str, after: str | None, limit: int) -> LogBatch | None:
        await self._refuse(partition)
        return await super().read(partition, after, limit)

    async def _refuse(self, partition: str) -> None:
        if partition in self.away:
            self.refusals += 1
            await anyio.sleep(self.seconds_to_fail)
            raise StoreUnavailable("the log is broken")


@pytest.fixture
def logs(cosmos: Account) -> Iterator[OpenLogs]:
    with open_logs(cosmos_settings(cosmos)) as logs:
        yield logs


@pytest.fixture
async def store(logs: OpenLogs, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Patchy]:
    monkeypatch.setattr(partition_backoff, "_SHORTEST_REST_SECONDS", 0.1)
    store = Patchy(logs.open())
    await append(store, "a")
    await append(store, "x", stream=OTHER_STREAM)
    yield store
    store.close()


@pytest.fixture
def there(logs: OpenLogs) -> EventStore:
    """Another process's."""
    return logs.store()


@pytest.fixture
def tail(store: Patchy) -> Tail:
    return Tail(store, SharedReads(store), batch_size=10)


async def test_a_partition_whose_end_cannot_be_told_is_begun_once_it_can(store: Patchy, tail: Tail) -> None:
    store.away = frozenset({TENANT})
    assert await tail.turn_to(BOTH) == {OTHER_TENANT}
    await append(store, "y", stream=OTHER_STREAM)
    assert runs_of(await tail.next()) == ["y"]
    store.away = frozenset()
    assert await eventually(lambda: tail.turn_to(BOTH)) == {TENANT}
    await append(store, "b")
    assert runs_of(await tail.next()) == ["b"]


@pytest.mark.parametrize(("away", "its", "theirs"), [(TENANT, "b", "y"), (OTHER_TENANT, "y", "b")])
async def test_what_is_read_beside_a_partition_that_is_away_is_told_and_its_own_later(
    store: Patchy, tail: Tail, there: EventStore, away: str, its: str, theirs: str
) -> None:
    assert await tail.turn_to(BOTH) == BOTH
    for run, stream in (("b", STREAM), ("y", OTHER_STREAM)):
        store.notice((await append(there, run, stream=stream)).ids[-1], store.partition_of(tenant_of(stream)))
    store.away = frozenset({away})
    assert runs_of(await tail.next()) == [theirs]
    store.away = frozenset()
    assert await tail.turn_to(BOTH) == frozenset()
    assert runs_of(await eventually(tail.next)) == [its]


async def test_a_failure_that_takes_long_is_not_waited_for_again_soon(store: Patchy, tail: Tail) -> None:
    store.away, store.seconds_to_fail = frozenset({TENANT}), 0.2
    began = anyio.current_time()
    with capture_logs() as told:
        while anyio.current_time() - began < 2.5:
            await tail.turn_to(BOTH)
            await tail.next()
            await anyio.sleep(0.01)
    assert 2 <= store.refusals <= 3
    assert [each["event"] for each in told] == ["partition_not_followed"]


async def test_who_watches_another_tenants_stream_is_told(store: Patchy) -> None:
    store.away = frozenset({TENANT})
    async with running(store) as watches:
        with watches.of(STREAM), watches.of(OTHER_STREAM) as watch:
            await until_it_follows(watch)
            await append(store, "y", stream=OTHER_STREAM)
            assert await is_woken(watch, 0.5)


async def test_who_waits_for_another_tenants_task_is_told(
    store: Patchy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.task_claims._LOOK_AGAIN_SECONDS", (30.0,))
    store.away = frozenset({TENANT})
    one = Instance(store, SettableClock(NOW))
    got: list[str] = []

    async def wait(tenant: str) -> None:
        got.extend(await one.wait(10, tenant=tenant))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.news.run)
        for number, tenant in enumerate((TENANT, OTHER_TENANT), start=1):
            tasks.start_soon(wait, tenant)
            await listening(one, number)
        await one.offer("theirs", tenant=OTHER_TENANT, known=False)
        with anyio.fail_after(5):
            while not got:
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert got == ["theirs"]
