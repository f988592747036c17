"""What every store of leases does, and that nothing is written under one that has passed on."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import anyio
import psycopg
import pytest

from application.ports import Settled, Timer
from application.store_clock import StoreClock
from domain.errors import LeaseLost, StoreUnavailable
from domain.lease import Lease
from infrastructure.memory.leases import LocalLeases
from infrastructure.postgres import leases as module
from infrastructure.postgres.checkpoints import PostgresCheckpoints
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.leases import PostgresLeases
from infrastructure.postgres.timers import PostgresTimers
from tests.builders import NOW, metadata
from tests.infrastructure.lease_cases import SECONDS, LeasesCases, taken
from tests.postgres import away

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
async def database(postgres_store_url: str) -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(postgres_store_url)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
def store_clock() -> StoreClock:
    return StoreClock()


@pytest.fixture
def leases(
    database: PostgresDatabase, store_clock: StoreClock, monkeypatch: pytest.MonkeyPatch
) -> PostgresLeases:
    monkeypatch.setattr(PostgresLeases, "seconds", SECONDS)
    return PostgresLeases(database, store_clock)


class TestLeasesInPostgres(LeasesCases):
    """The cases of every store, in PostgreSQL."""


async def test_who_is_paused_within_a_transaction_does_not_keep_the_lease_from_the_others(
    leases: PostgresLeases, database: PostgresDatabase
) -> None:
    lease = await taken(leases, "x", "a")

    async def be_paused() -> None:
        async with module.transaction_under(lease, database) as connection:
            assert (await taken(leases, "x", "b")).fence != lease.fence
            await connection.execute("SELECT 1")

    with pytest.raises(StoreUnavailable):
        await be_paused()
    with pytest.raises(LeaseLost):
        async with module.transaction_under(lease, database):
            pass


async def test_of_many_who_ask_at_once_one_has_it(postgres_store_url: str, leases: PostgresLeases) -> None:
    names = [f"part-{number}" for number in range(8)]
    answers: list[set[str]] = []
    async with AsyncExitStack() as stack, anyio.create_task_group() as group:
        others = []
        for _ in range(3):
            other = PostgresDatabase(postgres_store_url)
            await other.open()
            stack.push_async_callback(other.close)
            others.append(PostgresLeases(other))

        async def ask(number: int) -> None:
            answers.append(set(await others[number % 3].hold(names, f"holder-{number}")))

        for number in range(12):
            group.start_soon(ask, number)
    assert len(answers) == 12
    assert sorted(name for answer in answers for name in answer) == names


async def test_a_fence_is_never_given_again_even_where_the_table_was_lost(
    leases: PostgresLeases, postgres_store_url: str
) -> None:
    """A database that is restored from a backup has forgotten who held what since."""
    first = await taken(leases, "x", "a")
    with psycopg.connect(postgres_store_url, autocommit=True) as connection:
        connection.execute("DELETE FROM leases")
    await anyio.sleep(0.002)
    assert ((await leases.hold(["x"], "b"))["x"] or 0) > (first.fence or 0)


async def test_a_store_that_is_away_says_so(leases: PostgresLeases, postgres_store_url: str) -> None:
    with away(postgres_store_url), pytest.raises(StoreUnavailable):
        await leases.hold(["x"], "a")
    assert "x" in await leases.hold(["x"], "a")


@pytest.mark.parametrize(
    ("change", "undone"),
    [
        ("SET default_transaction_read_only = on", "RESET default_transaction_read_only"),
        ("SET role = 'nobody_much'", "RESET role"),
    ],
    ids=["a standby", "a missing right"],
)
async def test_a_store_that_takes_no_writes_from_us_is_away_and_no_surprise(
    leases: PostgresLeases, database: PostgresDatabase, postgres_store_url: str, change: str, undone: str
) -> None:
    """After a failover the address may lead to a standby for a while."""
    with psycopg.connect(postgres_store_url, autocommit=True) as connection:
        connection.execute(
            "DO $$ BEGIN CREATE ROLE nobody_much; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
    async with database.transaction() as connection_of_ours:
        await connection_of_ours.execute(change.encode())
    with pytest.raises(StoreUnavailable):
        await leases.hold(["x"], "a")
    async with database.transaction() as connection_of_ours:
        await connection_of_ours.execute(undone.encode())
    assert "x" in await leases.hold(["x"], "a")


class Ended:
    """A lease that its holder knows to be over, which the store does not."""

    name = "outbox"

    def __init__(self, lease: Lease) -> None:
        self.fence = lease.fence

    def check(self) -> None:
        raise LeaseLost("over")


async def test_nothing_is_written_under_a_lease_that_is_over_when_the_connection_is_there(
    leases: PostgresLeases, database: PostgresDatabase
) -> None:
    """The server that it leads to may have gone back in time, to where the same lease was held."""
    lease = await taken(leases, "outbox", "a")
    checkpoints = PostgresCheckpoints(database)
    with pytest.raises(LeaseLost):
        await checkpoints.save("outbox", "log", "log-1", Ended(lease))
    with pytest.raises(LeaseLost):
        await checkpoints.forget("outbox", ["log"], Ended(lease))
    assert await checkpoints.load("outbox", "log", lease) is None


async def test_timers_are_not_changed_under_a_lease_that_has_passed_on(
    leases: PostgresLeases, database: PostgresDatabase
) -> None:
    timers = PostgresTimers(database)
    timer = Timer(id="t", due_at=NOW, kind="k", payload={}, meta=metadata())
    former = await taken(leases, "timers", "a")
    present = await taken(leases, "timers", "b")
    await timers.change(set=[timer], cancel=(), lease=present)
    with pytest.raises(LeaseLost, match="timers"):
        await timers.change(set=(), cancel=["t"], lease=former)
    with pytest.raises(LeaseLost, match="timers"):
        await timers.settle([Settled(timer, None)], former)
    assert await timers.due(NOW, 10) == [timer]


async def test_nobody_takes_over_between_a_check_and_the_write_that_it_is_for(
    leases: PostgresLeases, database: PostgresDatabase, postgres_store_url: str
) -> None:
    lease = await taken(leases, "outbox", "a")
    other = PostgresDatabase(postgres_store_url)
    await other.open()
    order: list[str] = []

    async def take_over() -> None:
        await taken(PostgresLeases(other), "outbox", "b")
        order.append("taken over")

    try:
        async with (
            anyio.create_task_group() as group,
            module.transaction_under(lease, database) as connection,
        ):
            await anyio.sleep(SECONDS * 1.2)
            group.start_soon(take_over)
            await anyio.sleep(0.2)
            await connection.execute("SELECT 1")
            order.append("written")
    finally:
        await other.close()
    assert order == ["written", "taken over"]
    with pytest.raises(LeaseLost):
        await PostgresCheckpoints(database).save("outbox", "log", "log-1", lease)


async def test_one_process_alone_holds_everything_for_ever() -> None:
    local = LocalLeases()
    assert await local.hold(["x", "y"], "a") == {"x": None, "y": None}
    assert local.seconds == float("inf")
    await local.release(["x"], "a")
