"""Opens a log in Cosmos DB of which something is to be archived or restored."""

from contextlib import AsyncExitStack

from config.cosmos import COORDINATION, EVENTS, open_database, require_cosmos_log
from config.cosmos_beside import BESIDE
from config.cosmos_stores import open_cosmos_snapshots
from config.sections import Settings
from infrastructure.cosmos.archive_log import CosmosArchiveLog
from infrastructure.cosmos.observing import unobserved
from infrastructure.cosmos.positions import CosmosPositions


async def open_cosmos_archive_log(settings: Settings, stack: AsyncExitStack) -> CosmosArchiveLog:
    """Open the log, while services can run.

    Raises:
        CannotStart: there is none, or half a copy of one.
        StoreUnavailable: the account is away.
    """
    await require_cosmos_log(settings)
    database = await open_database(settings, stack, unobserved, as_it_is=True)
    snapshots = await open_cosmos_snapshots(settings, [], stack)
    positions = CosmosPositions(database, COORDINATION, BESIDE.place)
    return CosmosArchiveLog(database, EVENTS, positions, list(BESIDE.followers), snapshots)
