"""An address that leads to a standby for a while, as after a failover, and then to the primary again.

The standby lives on, and lags.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from anyio.to_thread import run_sync

from application.event_log import PARTITION
from application.event_store import EventStore
from domain.errors import Failure, StoreUnavailable
from domain.job import JobFired
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.leases import PostgresLeases
from infrastructure.postgres.personal_keys import PostgresPersonalKeys
from infrastructure.postgres.schema import migrate
from tests.application.logs import open_logs, postgres_settings
from tests.builders import NOW, TENANT, metadata
from tests.chaos.proxy import Proxy, proxy
from tests.services import PostgresNode, free_port, postgres_node

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

Use = Callable[[], Awaitable[object]]


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgresNode]:
    with postgres_node(free_port()) as node:
        node.start()
        migrate(node.url)
        yield node


@pytest.fixture(scope="module")
def standby(primary: PostgresNode) -> Iterator[PostgresNode]:
    with postgres_node(free_port()) as node:
        node.follow(primary)
        yield node


@pytest.fixture
def address(primary: PostgresNode) -> Iterator[Proxy]:
    with proxy(primary.url) as address:
        yield address


async def append(store: EventStore) -> str:
    """The position behind what was appended."""
    fired = JobFired(job="j", run_id="r", triggered_by="manual", fired_at=NOW, metadata={})
    command = metadata()
    committed = await store.execute(
        f"{TENANT}/job/{command.command_id}",
        evolve=lambda _, event: event,
        decide=lambda _: [fired],
        meta=command,
        now=NOW,
    )
    return committed.position


@asynccontextmanager
async def log(url: str) -> AsyncIterator[Use]:
    with open_logs(postgres_settings(url, connections=4)) as logs:
        store = logs.store()
        yield lambda: append(store)


@asynccontextmanager
async def beside_the_log(url: str) -> AsyncIterator[Use]:
    database = PostgresDatabase(url, size=1)
    await database.open()
    yield lambda: PostgresLeases(database).hold(["x"], "me")
    await database.close()


@asynccontextmanager
async def personal_keys(url: str) -> AsyncIterator[Use]:
    keys = PostgresPersonalKeys(url)
    yield lambda: run_sync(keys.put, TENANT, "somebody", "key", b"wrapped")
    keys.close()


@pytest.mark.parametrize("opened", [log, beside_the_log, personal_keys])
async def test_a_moment_on_a_standby_costs_no_more_than_that_moment(
    primary: PostgresNode, standby: PostgresNode, address: Proxy, opened: Callable[[str], object]
) -> None:
    async with opened(address.url()) as use:  # type: ignore[attr-defined]
        await use()
        address.lead_to(standby.url)
        address.cut()
        address.open()
        for _ in range(2):
            with pytest.raises(Failure):
                await use()
        address.lead_to(primary.url)
        await use()


async def test_a_standby_that_lags_is_not_asked_whether_a_position_is_known(
    primary: PostgresNode, standby: PostgresNode, address: Proxy
) -> None:
    with open_logs(postgres_settings(address.url())) as logs:
        store = logs.store()
        with psycopg.connect(standby.url, autocommit=True) as connection:
            connection.execute("SELECT pg_wal_replay_pause()")
            try:
                position = await append(store)
                address.lead_to(standby.url)
                address.cut()
                address.open()
                with pytest.raises(StoreUnavailable):
                    await store.knows(PARTITION, position)
            finally:
                connection.execute("SELECT pg_wal_replay_resume()")
        address.lead_to(primary.url)
        assert await store.knows(PARTITION, position)


async def test_of_several_hosts_the_primary_is_found(primary: PostgresNode, standby: PostgresNode) -> None:
    hosts = ",".join(url.split("@")[1].split("/")[0] for url in (standby.url, primary.url))
    async with log(f"postgresql://postgres@{hosts}/postgres") as use:
        await use()


def turn_read_only(connection: psycopg.Connection) -> None:
    connection.execute("SET default_transaction_read_only = on")


async def test_a_server_that_becomes_a_standby_under_the_logs_connections_is_left(
    primary: PostgresNode,
) -> None:
    with open_logs(postgres_settings(primary.url, connections=1)) as logs:
        opened = logs.open()
        with opened.recorder.datastore.get_connection() as connection:  # type: ignore[attr-defined]
            turn_read_only(connection)
        store = EventStore(opened)
        with pytest.raises(StoreUnavailable, match="read-only"):
            await append(store)
        await append(store)


async def test_a_server_that_becomes_a_standby_under_the_other_connections_is_left(
    primary: PostgresNode,
) -> None:
    database = PostgresDatabase(primary.url, size=1)
    await database.open()
    async with database.connection() as connection:
        await connection.execute("SET default_transaction_read_only = on")
    leases = PostgresLeases(database)
    with pytest.raises(StoreUnavailable, match="read-only"):
        await leases.hold(["x"], "me")
    await leases.hold(["x"], "me")
    await database.close()
    keys = PostgresPersonalKeys(primary.url)
    keys._do(turn_read_only)
    with pytest.raises(StoreUnavailable, match="read-only"):
        keys.put(TENANT, "somebody", "key", b"wrapped")
    keys.put(TENANT, "somebody", "key", b"wrapped")
    keys.close()
