"""Who is cancelled while it gives a connection back takes none away from the others."""

from collections.abc import AsyncIterator

import anyio
import pytest
from anyio.abc import TaskGroup, TaskStatus

from infrastructure.postgres.database import PostgresDatabase

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
async def database(postgres_store_url: str) -> AsyncIterator[PostgresDatabase]:
    """One connection for all."""
    database = PostgresDatabase(postgres_store_url, size=1)
    await database.open()
    yield database
    await database.close()


class User:
    """Uses a connection until it is told to leave."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self._told = anyio.Event()
        self._scope = anyio.CancelScope()

    async def __call__(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        with self._scope:
            async with self._database.connection() as connection:
                await connection.execute("SELECT 1")
                task_status.started()
                await self._told.wait()

    def leaves(self) -> None:
        """Give the connection back."""
        self._told.set()

    def is_cancelled(self) -> None:
        """End, whatever it is doing."""
        self._scope.cancel()


async def is_there(database: PostgresDatabase) -> bool:
    """Whether a connection is to be had."""
    async with database.connection() as connection:
        return (await connection.execute("SELECT 1")).rowcount == 1


async def soon() -> None:
    """Let everybody go as far as they get."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


async def begun(tasks: TaskGroup, database: PostgresDatabase) -> User:
    """Somebody who has a connection."""
    user = User(database)
    await tasks.start(user)
    return user


async def test_who_is_cancelled_while_it_gives_back_keeps_nothing(database: PostgresDatabase) -> None:
    async with anyio.create_task_group() as tasks:
        user = await begun(tasks, database)
        async with database._pool._lock:  # what the others hold for a moment
            user.leaves()
            await soon()
            user.is_cancelled()
            await soon()
    assert await is_there(database)
