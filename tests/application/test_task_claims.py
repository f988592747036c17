"""Claims over a real log: the append decides, whatever the candidates tell; who waits is told by the log."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from itertools import count, repeat

import anyio
import pytest

from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.event_store import EventStore
from application.shared_reads import SharedReads
from application.task_claims import TaskClaims, Wanted
from application.task_commands import OfferTask, ReleaseTask
from application.task_news import Candidate, Ear, TaskNews
from application.tasks import TaskHandlers
from domain.errors import StoreUnavailable
from domain.task import digest_of
from tests.application.logs import ONE_PARTITION_AND_MANY, OpenLogs, open_logs, settings_of
from tests.builders import OTHER_TENANT, TENANT, SettableClock, after, metadata

pytestmark = pytest.mark.anyio


class Stale:
    """Candidates as documents that never change would tell them: each that was ever offered, at version 1."""

    def __init__(self) -> None:
        self.known: list[Candidate] = []
        self.asked = 0
        self.expired_ones: list[Candidate] = []

    async def offered(
        self, tenant: str, queue: str, *, after: tuple[str, str] | None, limit: int
    ) -> tuple[Sequence[Candidate], tuple[str, str] | None]:
        self.asked += 1
        await asyncio.sleep(0)
        begin = int(after[1]) if after else 0
        page = self.known[begin : begin + limit] if tenant == TENANT else []
        more = begin + limit < len(self.known)
        return page, ("", str(begin + limit)) if more else None

    async def expired(self, tenant: str, queue: str, *, now: datetime, limit: int) -> Sequence[Candidate]:
        return self.expired_ones


class Instance:
    """What one process has of tasks."""

    def __init__(self, store: EventStore, clock: SettableClock) -> None:
        self.store = store
        self.dispatch = Dispatcher(TaskHandlers(store, clock).handlers())
        self.candidates = Stale()
        self.news = TaskNews(store, SharedReads(store))
        tokens = count()
        self.claims = TaskClaims(
            self.dispatch,
            self.candidates,
            self.news,
            clock,
            lambda: f"{id(self)}-{next(tokens)}",
            switches=lambda: store.switches,
        )

    async def offer(self, *ids: str, tenant: str = TENANT, known: bool = True) -> None:
        for id in ids:
            await self.dispatch(
                OfferTask(
                    meta=metadata(tenant=tenant),
                    task_id=id,
                    queue="q",
                    input={},
                    workflow_id="w",
                    step_id="s",
                    step_type="s",
                    attempt=1,
                    deadline_at=None,
                )
            )
        if known:
            self.candidates.known += [(id, 1) for id in ids]

    async def claim(self, most: int = 1, tenant: str = TENANT) -> list[str]:
        return [each.task_id for each in await self.claims.claim(wanted(most, tenant))]

    async def wait(
        self, seconds: float = 5, most: int = 1, ear: Ear | None = None, tenant: str = TENANT
    ) -> list[str]:
        with ear or self.claims.ear(wanted(most, tenant)) as listening:
            claimed = await self.claims.claim_or_wait(wanted(most, tenant), listening, seconds, outside)
        return [each.task_id for each in claimed]


@contextmanager
def outside() -> Iterator[None]:
    yield


def wanted(most: int = 1, tenant: str = TENANT) -> Wanted:
    return Wanted(meta=metadata(tenant=tenant), queue="q", worker_id="w", most=most, lease_seconds=60)


@pytest.fixture(params=ONE_PARTITION_AND_MANY)
def logs(request: pytest.FixtureRequest) -> Iterator[OpenLogs]:
    with open_logs(settings_of(request.param, request)) as logs:
        yield logs


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@asynccontextmanager
async def instance(logs: OpenLogs, clock: SettableClock) -> AsyncIterator[Instance]:
    made = Instance(logs.store(), clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(made.news.run)
        yield made
        tasks.cancel_scope.cancel()
    made.store.close()


@pytest.fixture
async def one(logs: OpenLogs, clock: SettableClock) -> AsyncIterator[Instance]:
    async with instance(logs, clock) as one:
        yield one


async def listening(instance: Instance, number: int) -> None:
    """Wait until so many wait, and the log is read for them."""
    while sum(instance.news.waiting.values()) != number:
        await anyio.sleep(0.005)
    await anyio.sleep(0.05)


async def test_the_oldest_are_had_first_and_each_once_though_the_documents_know_nothing_of_it(
    one: Instance,
) -> None:
    await one.offer(*"abcdef")
    assert await one.claim() == ["a"]
    assert await one.claim(3) == ["b", "c", "d"]
    assert await one.claim(10) == ["e", "f"]
    assert await one.claim(10) == []


async def test_claims_side_by_side_in_a_process_try_nothing_twice(one: Instance) -> None:
    ids = [f"{number:03}" for number in range(300)]
    await one.offer(*ids)
    tried: list[str] = []
    dispatch = one.dispatch

    async def counted(command: ReleaseTask) -> Committed:
        tried.append(command.task_id)
        return await dispatch(command)

    one.claims._dispatch = counted  # type: ignore[assignment]
    got = await asyncio.gather(*(one.claim(5) for _ in range(60)))
    assert sorted(id for ids in got for id in ids) == ids
    assert sorted(tried) == ids


async def test_two_processes_at_the_same_candidates_never_get_the_same(
    logs: OpenLogs, clock: SettableClock, one: Instance
) -> None:
    async with instance(logs, clock) as other:
        ids = [f"{number:03}" for number in range(100)]
        await one.offer(*ids)
        other.candidates.known = one.candidates.known
        got = await asyncio.gather(*(each.claim(5) for each in (one, other) * 15))
    found = [id for ids in got for id in ids]
    assert sorted(found) == ids


async def test_pages_of_candidates_that_are_gone_are_passed_over(one: Instance) -> None:
    ids = [f"{number:03}" for number in range(120)]
    await one.offer(*ids)
    assert len(await one.claim(100)) == 100
    assert await one.claim() == ["100"]


async def test_a_task_that_was_released_can_be_had_once_its_document_says_so(one: Instance) -> None:
    await one.offer("a")
    (claimed,) = await one.claims.claim(wanted())
    digest = digest_of(claimed.lease_token)
    await one.dispatch(ReleaseTask(meta=metadata(), task_id="a", lease_digest=digest))
    assert await one.claim() == []
    one.candidates.known = [("a", 3)]
    assert await one.claim() == ["a"]


async def test_an_expired_lease_is_found_before_its_timer_fires(one: Instance, clock: SettableClock) -> None:
    await one.offer("a")
    assert await one.claim() == ["a"]
    assert await one.claim() == []
    clock.moment = after(seconds=60)
    one.candidates.expired_ones = [("a", 2)]
    assert await one.claim() == ["a"]
    assert await one.claim() == []


async def test_a_store_that_is_away_is_told_and_the_task_can_be_had_later(one: Instance) -> None:
    await one.offer("a")
    dispatch = one.claims._dispatch

    async def away(command: object) -> Committed:
        raise StoreUnavailable("away")

    one.claims._dispatch = away  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable):
        await one.claim()
    one.claims._dispatch = dispatch
    assert await one.claim() == ["a"]


async def test_what_is_claimed_is_handed_out_though_the_store_goes_away_in_the_middle(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one.offer("a", "b")

    async def away(*_: object, **__: object) -> Sequence[Candidate]:
        raise StoreUnavailable("away")

    monkeypatch.setattr(one.candidates, "expired", away)
    assert await one.claim(most=3) == ["a", "b"]
    with pytest.raises(StoreUnavailable):
        await one.claim(most=3)


async def test_who_waits_is_told_of_a_new_task_that_no_document_knows_yet(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.task_claims._LOOK_AGAIN_SECONDS", (30.0,))
    async with anyio.create_task_group() as tasks:
        got: list[str] = []

        async def wait() -> None:
            got.extend(await one.wait())

        tasks.start_soon(wait)
        await listening(one, 1)
        began = anyio.current_time()
        await one.offer("other's", tenant=OTHER_TENANT, known=False)
        await one.offer("a", known=False)
    assert got == ["a"]
    assert anyio.current_time() - began < 10, "it was looked for, not told of"


async def test_those_of_several_tenants_who_wait_are_told_of_their_own(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.task_claims._looks", lambda: repeat(60.0))
    got = {}

    async def wait(tenant: str) -> None:
        got[tenant] = await one.wait(10, tenant=tenant)

    async with anyio.create_task_group() as tasks:
        for number, tenant in enumerate((TENANT, OTHER_TENANT), start=1):
            tasks.start_soon(wait, tenant)
            await listening(one, number)
        await one.offer("theirs", tenant=OTHER_TENANT, known=False)
        await one.offer("ours", known=False)
    assert got == {TENANT: ["ours"], OTHER_TENANT: ["theirs"]}


async def test_another_processs_task_is_told_as_well(
    logs: OpenLogs, clock: SettableClock, one: Instance
) -> None:
    async with instance(logs, clock) as other, anyio.create_task_group() as tasks:
        got: list[str] = []

        async def wait() -> None:
            got.extend(await one.wait())

        tasks.start_soon(wait)
        await listening(one, 1)
        await other.offer("a", known=False)
        one.store.notice(None)
    assert got == ["a"]


async def test_one_task_wakes_one_who_waits(one: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("application.task_claims._looks", lambda: repeat(60.0))
    got = {}

    async def wait(number: int) -> None:
        got[number] = await one.wait(60)

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(wait, number)
            await anyio.sleep(0)
        await listening(one, 10)
        asked = one.candidates.asked
        await one.offer("a", known=False)
        await anyio.sleep(0.02)
        assert one.candidates.asked == asked
        while not got:
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert got == {0: ["a"]}


async def test_who_waits_for_many_gets_those_that_come_together(one: Instance) -> None:
    await one.offer("a", "b", "c", known=False)
    async with anyio.create_task_group() as tasks:
        got: list[str] = []

        async def wait() -> None:
            got.extend(await one.wait(most=2))

        tasks.start_soon(wait)
        await listening(one, 1)
        for candidate in [("a", 1), ("b", 1), ("c", 1)]:
            one.news.tell((TENANT, "q"), candidate)
    assert got == ["a", "b"]


async def test_what_was_told_to_one_who_left_is_told_to_the_next(one: Instance) -> None:
    first, second = (one.claims.ear(wanted()) for _ in range(2))
    with contextlib.ExitStack() as leaving_later:
        with first:
            leaving_later.enter_context(second)
            one.news.tell((TENANT, "q"), ("a", 1))
            assert await second.next(0.01) == []
        assert await second.next(1) == [("a", 1)]


async def test_who_has_left_claims_nothing(one: Instance) -> None:
    ear = one.claims.ear(wanted())
    async with anyio.create_task_group() as tasks:
        got: list[list[str]] = []

        async def wait() -> None:
            got.append(await one.wait(ear=ear))

        tasks.start_soon(wait)
        await listening(one, 1)
        ear.tell(("a", 1))
        ear.leave()
    assert got == [[]]


async def test_nobody_waits_on_when_the_service_stops(one: Instance) -> None:
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(one.wait, 30)
        await listening(one, 20)
        one.news.close()
    assert anyio.current_time() - began < 1
    assert one.news.waiting == {}
    assert await one.wait(30) == []


async def test_what_the_documents_learn_late_is_found_by_looking_again(one: Instance) -> None:
    await one.offer("a", known=False)
    async with anyio.create_task_group() as tasks:
        got: list[str] = []

        async def wait() -> None:
            got.extend(await one.wait(3))

        tasks.start_soon(wait)
        await listening(one, 1)
        one.candidates.known = [("a", 1)]
    assert got == ["a"]
