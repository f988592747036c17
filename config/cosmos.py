"""Opens what is in Cosmos DB, and waits for the account if it is away."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

from config.sections import Settings
from config.start import CannotStart, first_line
from config.start_wait import once_it_is_there
from domain.errors import StoreUnavailable
from infrastructure.cosmos.checkpoints import CosmosCheckpoints
from infrastructure.cosmos.containers import CosmosContainers
from infrastructure.cosmos.database import CosmosDatabase, Unusable
from infrastructure.cosmos.documents import CosmosDocuments
from infrastructure.cosmos.half_copy import HalfCopy
from infrastructure.cosmos.items import Items
from infrastructure.cosmos.observing import Observe, unobserved
from projections.ports import Container

EVENTS = "workflow_events"
COORDINATION = "workflow_coordination"
"""The containers of the log, and of what instances share beside it."""

_FORMER_PLACE = "outbox"
"""Before tenants were divided into shares, each follower's positions lay under its own name."""

T = TypeVar("T")


async def open_cosmos(
    settings: Settings,
    containers: Sequence[Container],
    stack: AsyncExitStack,
    observe: Observe,
    *,
    as_they_are: bool = False,
) -> tuple[CosmosDocuments, CosmosCheckpoints]:
    """Open documents and positions. ``stack`` closes them again. ``as_they_are``: no container is created or
    changed.

    Raises:
        StoreUnavailable: the account stayed away longer than the settings allow.
        CannotStart: the account refuses us, or a container does not fit.
    """

    async def attempt() -> tuple[CosmosDocuments, CosmosCheckpoints]:
        async with AsyncExitStack() as attempted:
            opened = await _open(settings, [] if as_they_are else containers, attempted, observe)
            stack.push_async_callback(attempted.pop_all().aclose)
            return opened

    return await _waiting(settings, attempt)


async def require_cosmos_log(settings: Settings) -> None:
    """Check that the log exists, for commands that must not create one. If the database's name were misspelt,
    every document would seem to be missing, and nothing would seem to be wrong.

    Raises:
        StoreUnavailable: the account stayed away longer than the settings allow.
        CannotStart: the account refuses us, or there is no log.
    """
    if not await cosmos_log_exists(settings):
        raise CannotStart(
            f"there is no log in the database {settings.cosmos_db.database_id}: no service has been at work"
            " there"
        )


async def cosmos_log_exists(settings: Settings) -> bool:
    """Return whether there is a log, in a database that must exist.

    Raises:
        StoreUnavailable: the account stayed away longer than the settings allow.
        CannotStart: the account refuses us, or the log is half a copy.
    """

    async def attempt() -> bool:
        async with AsyncExitStack() as stack:
            database = await open_database(settings, stack, lambda *_: None, as_it_is=True)
            if not await CosmosContainers(database).exists(EVENTS):
                return False
            await refuse_half_a_copy(database)
            if await CosmosContainers(database).exists(COORDINATION):
                await refuse_a_former_layout(database)
            return True

    return await _waiting(settings, attempt)


async def refuse_half_a_copy(database: CosmosDatabase) -> None:
    """Check that no copy to this log has begun and not ended, because nothing would show what is missing.

    Raises:
        CannotStart: one has.
        StoreUnavailable: this cannot be known now.
    """
    if await HalfCopy(database, EVENTS).is_marked():
        raise CannotStart(
            "the log in Cosmos DB is an incomplete copy: copy-log did not finish. Run it again to continue"
        )


async def refuse_a_former_layout(database: CosmosDatabase) -> None:
    """Check that positions are where they are looked for. Otherwise everything would be published again.

    Raises:
        CannotStart: they were left by a state of this service before 2026-11-28.
        StoreUnavailable: this cannot be known now.
    """
    found = await Items(database, COORDINATION).query(
        _FORMER_PLACE, "SELECT TOP 1 c.id FROM c WHERE c.kind = @kind", {"@kind": "position"}
    )
    if found:
        raise CannotStart(
            "positions beside the log in Cosmos DB are stored as an earlier release of this service did: copy"
            " the log out with that release's copy-log, and into another database with this one's"
        )


async def _waiting(settings: Settings, attempt: Callable[[], Awaitable[T]]) -> T:
    seconds = settings.storage.startup_timeout_seconds
    try:
        return await once_it_is_there("documents", attempt, away=StoreUnavailable, seconds=seconds)
    except Unusable as error:
        raise CannotStart(f"a store cannot be opened: {first_line(error)}") from error
    except StoreUnavailable as error:
        raise StoreUnavailable(f"the documents were unavailable for {seconds:g} s: {error}") from error


async def open_database_as_it_is(settings: Settings, stack: AsyncExitStack) -> CosmosDatabase:
    """Open the database, which must exist, and wait for the account if it is away. ``stack`` closes it again.

    Raises:
        StoreUnavailable: the account stayed away longer than the settings allow.
        CannotStart: the account refuses us, or there is no such database.
    """

    async def attempt() -> CosmosDatabase:
        return await open_database(settings, stack, unobserved, as_it_is=True)

    return await _waiting(settings, attempt)


async def open_database(
    settings: Settings, stack: AsyncExitStack, observe: Observe, *, as_it_is: bool = False
) -> CosmosDatabase:
    """Open the database. ``stack`` closes it again. ``as_it_is``: it is not created.

    Raises:
        StoreUnavailable: the account is away.
        Unusable: the account refuses us, or there is no such database.
    """
    cosmos = settings.cosmos_db
    database = CosmosDatabase(
        str(cosmos.endpoint), cosmos.key.get_secret_value(), cosmos.database_id, observe=observe
    )
    stack.push_async_callback(database.close)
    await database.open(as_it_is=as_it_is)
    return database


async def _open(
    settings: Settings, containers: Sequence[Container], stack: AsyncExitStack, observe: Observe
) -> tuple[CosmosDocuments, CosmosCheckpoints]:
    database = await open_database(settings, stack, observe)
    documents = CosmosDocuments(database)
    positions = CosmosCheckpoints(database, settings.cosmos_db.containers.positions)
    await positions.create()
    for missing in await documents.missing(containers):
        # A container that somebody has deleted comes back with all its documents. The position goes
        # first: the other way round a crash in between would leave the container empty for ever.
        await positions.forget_all(missing.name)
    await documents.create(containers)
    return documents, positions
