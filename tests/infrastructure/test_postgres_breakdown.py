"""What a follower has derived from the log outlives a server that breaks down at once.

The follower lives on, is past its events, and does not derive it anew.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import psycopg
import pytest

from application.audit.rows import noted
from application.event_log import PARTITION, position_of
from application.log_copy import Entry
from infrastructure.postgres.audit_index import PostgresAuditIndex
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.schema import migrate
from infrastructure.postgres.step_calls import PostgresStepCalls
from infrastructure.postgres.timers import PostgresTimers
from tests.builders import LEASE, NOW, TENANT
from tests.infrastructure.test_step_calls import waiting
from tests.infrastructure.test_timers import timer
from tests.services import PostgresNode, free_port, postgres_node

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture(scope="module")
def node() -> Iterator[PostgresNode]:
    """A server that writes down only what somebody waits for."""
    with postgres_node(free_port()) as node:
        node.start()
        migrate(node.url)
        with psycopg.connect(node.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
            connection.execute("SELECT pg_reload_conf()")
        yield node


@pytest.fixture
async def database(node: PostgresNode) -> AsyncIterator[PostgresDatabase]:
    database = PostgresDatabase(node.url)
    await database.open()
    yield database
    await database.close()


async def timers(database: PostgresDatabase, number: int) -> int:
    kept = PostgresTimers(database)
    if number:
        await kept.change(set=[timer(str(number))], cancel=(), lease=LEASE)
    return len(await kept.due(NOW, 10))


async def step_calls(database: PostgresDatabase, number: int) -> int:
    kept = PostgresStepCalls(database)
    if number:
        await kept.change(add=[waiting(str(number))], remove=(), lease=LEASE)
    return len(await kept.waiting(each=10, besides=()))


async def audit_index(database: PostgresDatabase, number: int) -> int:
    kept = PostgresAuditIndex(database)
    if number:
        entry = Entry(number, f"{TENANT}/job/a", number, "t", b"{}")
        await kept.put(PARTITION, [noted(entry)], position_of(number, entry.stream, number), LEASE)
    return (await kept.head(TENANT)).number


@pytest.mark.parametrize("derived", [timers, step_calls, audit_index])
async def test_it_is_there_after_each_breakdown(
    node: PostgresNode,
    database: PostgresDatabase,
    derived: Callable[[PostgresDatabase, int], Awaitable[int]],
) -> None:
    for number in (1, 2, 3):
        await derived(database, number)
        node.stop()
        node.start()
        assert await derived(database, 0) == number
