"""A failover to a server that has lost commits: whoever lives on goes on with what that server has.

Ids that were lost are given again, so that neither a position nor a stream's version tells of it.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import pytest
from anyio.to_thread import run_sync

from application.event_store import EventStore
from application.leadership import Leadership
from application.shared_reads import SharedReads
from application.watching import Watches
from domain.errors import Failure
from domain.event import Event, Recorded
from domain.interest import EVERYTHING
from domain.job import JobFired
from domain.lease import Lease
from infrastructure.memory.checkpoints import MemoryCheckpoints
from infrastructure.memory.leases import LocalLeases
from infrastructure.postgres.checkpoints import PostgresCheckpoints
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.leases import PostgresLeases
from infrastructure.postgres.recorder import LogRecorder
from infrastructure.postgres.schema import migrate
from projections.follower import Follower
from tests.application.logs import OpenLogs, open_logs, postgres_settings
from tests.application.test_task_claims import instance
from tests.builders import NOW, TENANT, SettableClock, metadata
from tests.harness import eventually
from tests.services import PostgresNode, free_port, postgres_node

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

BUSY = f"{TENANT}/job/busy"
LOST = 40
"""More events than the sequence of ids is logged ahead: some ids come again."""


@pytest.fixture
def nodes() -> Iterator[tuple[PostgresNode, PostgresNode]]:
    """A primary, and its standby."""
    with postgres_node(free_port()) as primary, postgres_node(free_port()) as standby:
        primary.start()
        migrate(primary.url)
        standby.follow(primary)
        yield primary, standby


def url_of(nodes: Sequence[PostgresNode]) -> str:
    hosts = ",".join(node.url.split("@")[1].split("/")[0] for node in nodes)
    return f"postgresql://postgres@{hosts}/postgres"


async def append(store: EventStore, stream: str, run: str) -> tuple[str, ...]:
    """Fire a run, however long the store is away; what it was decided on."""
    decided_on: list[tuple[str, ...]] = []

    def decide(state: tuple[str, ...] | None) -> Sequence[Event]:
        decided_on.append(state or ())
        return [JobFired(job="j", run_id=run, triggered_by="manual", fired_at=NOW, metadata={})]

    command = metadata()
    with anyio.fail_after(20):
        while True:
            try:
                await store.execute(stream, evolve=evolve, decide=decide, meta=command, now=NOW)
            except Failure:
                await anyio.sleep(0.1)
            else:
                return decided_on[-1]


def evolve(state: tuple[str, ...] | None, event: Event) -> tuple[str, ...]:
    return (*(state or ()), run_of(event))


def run_of(event: Event) -> str:
    assert isinstance(event, JobFired)
    return event.run_id


async def runs_in(store: EventStore) -> list[str]:
    batch = await store.read("log", None, 1_000)
    assert batch is not None
    return [run_of(each.event) for each in batch.events]


class Made:
    """What was made of the log: messages that are out, or documents that can be made anew."""

    wants = EVERYTHING

    def __init__(self, name: str, *, may_repeat_unnoticed: bool) -> None:
        self.name = name
        self.may_repeat_unnoticed = may_repeat_unnoticed
        self.runs: list[str] = []

    async def start_over(self) -> None:
        assert self.may_repeat_unnoticed, "every message would go out again"
        self.runs.clear()

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        self.runs += [run_of(each.event) for each in events]


class Instance:
    """A process that follows the log, as the service's parts are put together."""

    def __init__(self, logs: OpenLogs, url: str) -> None:
        log = logs.open()
        assert isinstance(log.recorder, LogRecorder)
        self.store = EventStore(log)
        self.database = PostgresDatabase(url, timelines=log.recorder.timelines)
        self.sent = Made("outbox", may_repeat_unnoticed=False)
        self.documents = Made("documents", may_repeat_unnoticed=True)
        self.reads = SharedReads(self.store)
        self.watches = Watches(self.store, self.reads, batch_size=100)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        await self.database.open()
        beside_the_log = PostgresCheckpoints(self.database)
        elsewhere = MemoryCheckpoints()
        leaderships = [
            Leadership(leases, "a", [self._follower(made, positions)], switches=lambda: self.store.switches)
            for leases, made, positions in (
                (PostgresLeases(self.database), self.sent, beside_the_log),
                (LocalLeases(), self.documents, elsewhere),
            )
        ]
        async with anyio.create_task_group() as tasks:
            for leadership in leaderships:
                tasks.start_soon(leadership.run)
                await leadership.taken_over()
            tasks.start_soon(self.watches.run)
            yield
            for leadership in leaderships:
                await leadership.finish()
            tasks.cancel_scope.cancel()
        await self.database.close()
        self.store.close()

    def _follower(self, made: Made, positions: PostgresCheckpoints | MemoryCheckpoints) -> Follower:
        return Follower(made, self.reads, positions, now=lambda: datetime.now(UTC), poll_seconds=0.2)


async def test_who_lives_on_goes_on_with_what_the_new_server_has(
    nodes: tuple[PostgresNode, PostgresNode],
) -> None:
    primary, standby = nodes
    url = url_of(nodes)
    with open_logs(postgres_settings(url)) as logs:
        one, elsewhere = Instance(logs, url), logs.store()
        async with one.at_work():
            await append(one.store, BUSY, "kept")
            await elsewhere.present(BUSY, evolve)

            async def all_is_handled() -> bool:
                log = await runs_in(one.store)
                return one.documents.runs == log and one.sent.runs[-1] == log[-1]

            await eventually(all_is_handled)
            await anyio.sleep(0.5)  # the standby has the position too
            await run_sync(standby.stop, "fast")

            for number in range(LOST):
                await append(one.store, f"{TENANT}/job/{number}", f"lost {number}")
            await append(one.store, BUSY, "lost")
            await eventually(all_is_handled)
            handled = len(one.sent.runs)
            with one.watches.of(BUSY) as watch:
                await watch.wait(5)
                await run_sync(primary.stop)
                await run_sync(standby.start_as_standby)
                await run_sync(standby.promote)

                assert await append(elsewhere, BUSY, "new") == ("kept",)
                for number in range(10):
                    await append(elsewhere, f"{TENANT}/job/new {number}", f"new {number}")
                with anyio.fail_after(10):
                    await watch.wait(60)
                assert await append(one.store, BUSY, "last") == ("kept", "new")
                await eventually(all_is_handled, seconds=20)
                await watch.wait(0.5)
                await append(elsewhere, BUSY, "after all")
                with anyio.fail_after(10):
                    await watch.wait(60)
            await eventually(all_is_handled)

        log = await runs_in(elsewhere)
        assert log == ["kept", "new", *(f"new {number}" for number in range(10)), "last", "after all"]
        assert one.sent.runs[handled:] == log[1:]


async def test_a_task_whose_claim_was_lost_is_handed_out_by_whoever_had_handed_it_out(
    nodes: tuple[PostgresNode, PostgresNode],
) -> None:
    primary, standby = nodes
    with open_logs(postgres_settings(url_of(nodes))) as logs:
        async with instance(logs, SettableClock()) as one:
            await one.offer("a")
            await anyio.sleep(0.5)  # the standby has it too
            await run_sync(standby.stop, "fast")
            assert await one.claim() == ["a"]
            await run_sync(primary.stop)
            await run_sync(standby.start_as_standby)
            await run_sync(standby.promote)

            async def is_handed_out() -> bool:
                try:
                    await one.store.ping()
                    return await one.claim() == ["a"]
                except Failure:
                    return False

            await eventually(is_handed_out, seconds=10)
            assert one.store.switches
            assert await one.claim() == []
