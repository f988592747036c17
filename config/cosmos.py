"""Opens documents and positions in Cosmos DB, waiting for the account where it is away."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential_jitter,
)

from config.sections import Settings
from config.start import CannotStart, first_line
from domain.errors import StoreUnavailable
from infrastructure.cosmos.checkpoints import CosmosCheckpoints
from infrastructure.cosmos.database import CosmosDatabase, Unusable
from infrastructure.cosmos.documents import CosmosDocuments
from infrastructure.cosmos.observing import Observe
from projections.ports import Container

log = structlog.get_logger(__name__)


async def open_cosmos(
    settings: Settings,
    containers: Sequence[Container],
    stack: AsyncExitStack,
    observe: Observe,
    *,
    as_they_are: bool = False,
) -> tuple[CosmosDocuments, CosmosCheckpoints]:
    """Documents and positions; ``stack`` closes them again. ``as_they_are``: no container is made or mended.

    Raises:
        StoreUnavailable: the account stayed away longer than the settings allow.
        CannotStart: it does not let us in, or a container does not fit.
    """
    timeout_seconds = settings.storage.startup_timeout_seconds

    def note(state: RetryCallState) -> None:
        log.warning(
            "documents_away",
            attempt=state.attempt_number,
            waited_seconds=round(state.seconds_since_start or 0.0, 1),
            gives_up_after_seconds=timeout_seconds,
            error=str(state.outcome.exception() if state.outcome else None),
        )

    async def attempt() -> tuple[CosmosDocuments, CosmosCheckpoints]:
        async with AsyncExitStack() as attempted:
            opened = await _open(settings, [] if as_they_are else containers, attempted, observe)
            stack.push_async_callback(attempted.pop_all().aclose)
            return opened

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(StoreUnavailable),
        stop=stop_after_delay(timeout_seconds),
        wait=wait_exponential_jitter(multiplier=0.5, max=5, jitter=0.5),
        before_sleep=note,
        reraise=True,
    )
    try:
        return await retrying(attempt)
    except Unusable as error:
        raise CannotStart(f"a store cannot be opened: {first_line(error)}") from error
    except StoreUnavailable as error:
        raise StoreUnavailable(f"the documents stayed away for {timeout_seconds:g} s: {error}") from error


async def _open(
    settings: Settings, containers: Sequence[Container], stack: AsyncExitStack, observe: Observe
) -> tuple[CosmosDocuments, CosmosCheckpoints]:
    cosmos = settings.cosmos_db
    database = CosmosDatabase(
        str(cosmos.endpoint), cosmos.key.get_secret_value(), cosmos.database_id, observe=observe
    )
    stack.push_async_callback(database.close)
    await database.open()
    documents = CosmosDocuments(database)
    positions = CosmosCheckpoints(database, cosmos.containers.positions)
    await positions.create()
    for missing in await documents.missing(containers):
        # A container that somebody has deleted comes back with all its documents. The position goes
        # first: the other way round a crash in between would leave the container empty for ever.
        await positions.forget(missing.name)
    await documents.create(containers)
    return documents, positions
