"""The log in Cosmos DB and what lies beside it: in the database of the documents, in containers of its
own."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from os import getpid
from socket import gethostname
from typing import Any, cast

from anyio.to_thread import run_sync

from application.audit.anchoring import Anchoring
from application.event_store import EventStore
from application.store_clock import StoreClock
from config.audit_stores import AuditSources, AuditStores
from config.cosmos import (
    COORDINATION,
    EVENTS,
    open_database,
    refuse_a_former_layout,
    refuse_half_a_copy,
    require_cosmos_log,
)
from config.cosmos_beside import BESIDE
from config.privacy import PersonalParts, open_personal
from config.roles import POLICIES, PUBLISHER, TIMERS
from config.sections import Settings
from config.start import CannotStart, first_line
from config.stores import ShareStores, Stores, open_log, store_over
from domain.share import Share, shares
from infrastructure.cosmos import personal_keys, snapshots
from infrastructure.cosmos.anchor_book import CosmosAnchorBook
from infrastructure.cosmos.audit_index import CosmosAuditIndex
from infrastructure.cosmos.database import CosmosDatabase, Unusable
from infrastructure.cosmos.event_store import cosmos_log_settings
from infrastructure.cosmos.leases import CosmosLeases
from infrastructure.cosmos.observing import Observe, unobserved
from infrastructure.cosmos.personal_keys import CosmosPersonalKeys
from infrastructure.cosmos.positions import CosmosPositions
from infrastructure.cosmos.recorder import CosmosLogRecorder
from infrastructure.cosmos.snapshots import CosmosSnapshots
from infrastructure.cosmos.step_calls import CosmosStepCalls
from infrastructure.cosmos.stored_log import CosmosStoredLog
from infrastructure.cosmos.threaded import ThreadedContainer
from infrastructure.cosmos.timers import CosmosTimers
from infrastructure.cosmos.wakeups import CosmosWakeups
from interfaces.ids import new_id
from projections.ports import Checkpoints, MendableDocuments

KEYS = "workflow_keys"
SNAPSHOTS = "workflow_snapshots"
"""Containers."""


async def open_cosmos_stores(
    settings: Settings,
    documents: MendableDocuments,
    document_positions: Checkpoints,
    stack: AsyncExitStack,
    observe: Observe,
) -> Stores:
    """Open everything over a log in Cosmos DB. ``stack`` closes it again.

    Raises:
        CannotStart: the account refuses us, or a container does not fit.
        StoreUnavailable: it is away.
    """
    try:
        database = await open_database(settings, stack, observe)
        store_clock = StoreClock()
        leases = CosmosLeases(database, COORDINATION, store_clock)
        await leases.create()
        personal = await open_personal(settings, stack, observe_cosmos=observe)
        log = await open_log(_log_settings(settings), personal)
        await refuse_half_a_copy(database)
        await refuse_a_former_layout(database)
        recorder = cast(CosmosLogRecorder, log.recorder)
        recorder.tell(observe)
        kept = await _container(settings, SNAPSHOTS, snapshots.POLICY, stack, observe)
        store = await store_over(
            log,
            stack,
            snapshots=CosmosSnapshots(kept, recorder.partitions),
            threads=settings.storage.pool_size,
        )
    except Unusable as error:
        raise CannotStart(f"the event store cannot be used: {first_line(error)}") from error
    instance = f"{gethostname()}-{getpid()}-{new_id()}"
    sources = _audit_sources(database)
    return Stores(
        store,
        documents,
        document_positions,
        CosmosPositions(database, COORDINATION, BESIDE.place),
        [_share_stores(database, share) for share in shares(BESIDE.shares)],
        leases,
        leases,
        AuditStores(
            sources.log, sources.index, CosmosAnchorBook(database, COORDINATION, Anchoring.name), None
        ),
        personal,
        CosmosWakeups(store, recorder, database, COORDINATION, instance),
        store_clock=store_clock,
    )


async def open_cosmos_log_beside(
    settings: Settings, stack: AsyncExitStack, personal: PersonalParts
) -> EventStore:
    """Open only the log, even if a service uses it.

    Raises:
        CannotStart, StoreUnavailable: it cannot be used, or cannot be opened.
    """
    try:
        return await store_over(await open_log(_log_settings(settings), personal), stack)
    except Unusable as error:
        raise CannotStart(f"the event store cannot be used: {first_line(error)}") from error


async def open_cosmos_audit(settings: Settings, stack: AsyncExitStack) -> AuditSources:
    """Open the stored log, which is its own index.

    Raises:
        CannotStart: there is no log.
        StoreUnavailable: the account is away.
    """
    await require_cosmos_log(settings)
    return _audit_sources(await open_database(settings, stack, unobserved, as_it_is=True))


async def open_cosmos_snapshots(
    settings: Settings, tenants: Sequence[str], stack: AsyncExitStack
) -> CosmosSnapshots:
    """Open the snapshots of some tenants' streams.

    Raises:
        CannotStart: the container does not fit.
        StoreUnavailable: the account is away.
    """
    try:
        return CosmosSnapshots(
            await _container(settings, SNAPSHOTS, snapshots.POLICY, stack), lambda: tenants
        )
    except Unusable as error:
        raise CannotStart(f"the snapshots cannot be used: {first_line(error)}") from error


async def open_cosmos_keys(
    settings: Settings, stack: AsyncExitStack, observe: Observe = unobserved
) -> CosmosPersonalKeys:
    """Open the personal keys beside the log.

    Raises:
        CannotStart: the container does not fit.
        StoreUnavailable: the account is away.
    """
    try:
        return CosmosPersonalKeys(await _container(settings, KEYS, personal_keys.POLICY, stack, observe))
    except Unusable as error:
        raise CannotStart(f"the personal keys cannot be used: {first_line(error)}") from error


def _share_stores(database: CosmosDatabase, share: Share) -> ShareStores:
    return ShareStores(
        CosmosTimers(database, COORDINATION, setter=share.lease(POLICIES), clock=share.lease(TIMERS)),
        CosmosStepCalls(database, COORDINATION, share.lease(PUBLISHER)),
        share,
    )


def _audit_sources(database: CosmosDatabase) -> AuditSources:
    return AuditSources(CosmosStoredLog(database, EVENTS), CosmosAuditIndex(database, EVENTS))


def _log_settings(settings: Settings) -> dict[str, str]:
    cosmos = settings.cosmos_db
    return cosmos_log_settings(
        str(cosmos.endpoint),
        cosmos.key.get_secret_value(),
        database=cosmos.database_id,
        container=EVENTS,
        segment_bytes=cosmos.log_segment_bytes,
    )


async def _container(
    settings: Settings,
    name: str,
    policy: Mapping[str, Any],
    stack: AsyncExitStack,
    observe: Observe = unobserved,
) -> ThreadedContainer:
    cosmos = settings.cosmos_db
    container = await run_sync(
        ThreadedContainer,
        str(cosmos.endpoint),
        cosmos.key.get_secret_value(),
        cosmos.database_id,
        name,
        dict(policy),
    )
    stack.callback(container.close)
    container.tell(observe)
    return container
