"""The log in PostgreSQL, and everything that lies beside it."""

from contextlib import AsyncExitStack
from typing import cast

from anyio.to_thread import run_sync

from application.event_log import EventLog
from application.event_store import OTHER_THREADS, EventStore
from application.store_clock import StoreClock
from config.audit_stores import AuditStores
from config.postgres import require_postgres
from config.privacy import PersonalParts, open_personal
from config.sections import Settings
from config.stores import COMMANDS_AT_ONCE, ShareStores, Stores, open_log, store_over
from infrastructure.memory.leases import LocalLeases
from infrastructure.postgres.anchor_book import PostgresAnchorBook
from infrastructure.postgres.audit_index import PostgresAuditIndex
from infrastructure.postgres.checkpoints import PostgresCheckpoints
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.event_store import postgres_log_settings
from infrastructure.postgres.leases import PostgresLeases
from infrastructure.postgres.recorder import LogRecorder
from infrastructure.postgres.snapshots import PostgresSnapshots
from infrastructure.postgres.step_calls import PostgresStepCalls
from infrastructure.postgres.stored_log import PostgresStoredLog
from infrastructure.postgres.timelines import Timelines
from infrastructure.postgres.timers import PostgresTimers
from infrastructure.postgres.wakeups import PostgresWakeups
from projections.ports import Checkpoints, MendableDocuments

_AUDIT_CONNECTIONS = 3
_AUDIT_CLOSE_SECONDS = 0.1
"""A stop has only a moment for these connections, after what the log itself takes."""


async def open_postgres_stores(
    settings: Settings,
    url: str,
    documents: MendableDocuments,
    document_positions: Checkpoints,
    stack: AsyncExitStack,
) -> Stores:
    """Open everything over a log in PostgreSQL. ``stack`` closes it again.

    Raises:
        CannotStart: the server stayed away, or its schema is not ours.
        StoreUnavailable: it went away meanwhile.
    """
    await require_postgres(settings, url)
    personal = await open_personal(settings, stack)
    connections = settings.storage.pool_size
    log = await open_log(postgres_log_settings(url, connections=connections), personal)
    recorder = cast(LogRecorder, log.recorder)
    database = PostgresDatabase(url, timelines=recorder.timelines)
    stack.push_async_callback(database.close)
    await database.open()
    event_store = await store_over(
        log,
        stack,
        snapshots=PostgresSnapshots(recorder.datastore),
        threads=connections - OTHER_THREADS,
        at_once=COMMANDS_AT_ONCE if settings.storage.group_commit else 1,
    )
    store_clock = StoreClock()
    leases = PostgresLeases(database, store_clock)
    return Stores(
        event_store,
        documents,
        document_positions,
        PostgresCheckpoints(database),
        [ShareStores(PostgresTimers(database), PostgresStepCalls(database))],
        leases,
        leases if settings.cosmos_db.endpoint else LocalLeases(),
        await open_postgres_audit(url, stack, recorder.timelines),
        personal,
        PostgresWakeups(url, event_store.notice, own=recorder.backends),
        store_clock=store_clock,
    )


async def open_postgres_log_beside(
    settings: Settings, url: str, stack: AsyncExitStack, personal: PersonalParts
) -> EventStore:
    """Open only the log, even if a service uses it.

    Raises:
        CannotStart, StoreUnavailable: it cannot be used, or cannot be opened.
    """
    await require_postgres(settings, url)
    log_settings = postgres_log_settings(url, connections=OTHER_THREADS + 1)
    return await store_over(await open_log(log_settings, personal), stack)


async def open_postgres_snapshots(url: str, stack: AsyncExitStack) -> PostgresSnapshots:
    """Open the snapshots of a log in PostgreSQL, to read them.

    Raises:
        PersistenceError: the server does not answer.
    """
    log = await run_sync(EventLog, postgres_log_settings(url, connections=2))
    stack.callback(log.close)
    return PostgresSnapshots(cast(LogRecorder, log.recorder).datastore)


async def open_postgres_audit(
    url: str, stack: AsyncExitStack, timelines: Timelines | None = None
) -> AuditStores:
    """Open what the audit trail of a log in PostgreSQL needs, also on connections of its own.

    Raises:
        StoreUnavailable: the server does not answer.
    """
    database = PostgresDatabase(
        url, size=_AUDIT_CONNECTIONS, close_seconds=_AUDIT_CLOSE_SECONDS, timelines=timelines
    )
    await database.open()
    stack.push_async_callback(database.close)
    index = PostgresAuditIndex(database)
    return AuditStores(PostgresStoredLog(database), index, PostgresAnchorBook(database), index)
