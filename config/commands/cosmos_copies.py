"""A log in Cosmos DB as one side of a copy."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from anyio.to_thread import run_sync

from application.log_copy import CannotCopy
from config.cosmos import COORDINATION, EVENTS, open_database, require_cosmos_log
from config.cosmos_beside import BESIDE
from config.sections import Settings
from config.start import CannotStart, first_line
from infrastructure.cosmos.database import CosmosDatabase, Unusable
from infrastructure.cosmos.leases import CosmosLeases
from infrastructure.cosmos.log_container import LogContainer
from infrastructure.cosmos.log_reader import CosmosLogReader
from infrastructure.cosmos.log_writer import CosmosLogWriter
from infrastructure.cosmos.observing import unobserved


@asynccontextmanager
async def read_cosmos_log(settings: Settings) -> AsyncIterator[CosmosLogReader]:
    """Yield a reader of a log that no service uses.

    Raises:
        CannotCopy: there is none, or half a copy, or a service uses it.
    """
    try:
        await require_cosmos_log(settings)
    except CannotStart as error:
        raise CannotCopy(f"--from: {error}") from error
    async with AsyncExitStack() as stack:
        database = await _opened(settings, stack)
        reader = CosmosLogReader(database, EVENTS, COORDINATION, BESIDE, place=_place(settings))
        await reader.begin()
        yield reader


@asynccontextmanager
async def write_cosmos_log(settings: Settings) -> AsyncIterator[CosmosLogWriter]:
    """Yield a writer. The containers, created if they are absent, hold a log when the block has ended, and
    half of one before.

    Raises:
        CannotCopy: the account refuses us, or a container does not fit.
    """
    cosmos = settings.cosmos_db
    async with AsyncExitStack() as stack:
        try:
            database = await _opened(settings, stack)
            await CosmosLeases(database, COORDINATION).create()
            container = await run_sync(
                lambda: LogContainer(
                    str(cosmos.endpoint),
                    cosmos.key.get_secret_value(),
                    cosmos.database_id,
                    EVENTS,
                    segment_bytes=cosmos.log_segment_bytes,
                )
            )
        except Unusable as error:
            raise CannotCopy(f"{_place(settings)}: {first_line(error)}") from error
        stack.callback(container.close)
        writer = CosmosLogWriter(database, container, EVENTS, COORDINATION, BESIDE, place=_place(settings))
        yield writer
        await writer.end()


async def _opened(settings: Settings, stack: AsyncExitStack) -> CosmosDatabase:
    try:
        return await open_database(settings, stack, unobserved)
    except Unusable as error:
        raise CannotCopy(f"{_place(settings)}: {first_line(error)}") from error


def _place(settings: Settings) -> str:
    return f"{settings.cosmos_db.database_id} in Cosmos DB"
