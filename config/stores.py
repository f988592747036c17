"""Opens what events, documents, positions and timers are kept in, waiting for it where it is away."""

import sqlite3
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol, cast

import msgspec
from anyio.to_thread import run_sync
from eventsourcing.persistence import PersistenceError

from application.event_log import EventLog
from application.event_store import OTHER_THREADS, EventStore
from application.ports import Leases, StepCalls, Timers
from application.snapshots import SnapshotStore
from config.audit_stores import AuditStores, open_postgres_audit, open_sqlite_audit
from config.cosmos import open_cosmos
from config.folders import claim
from config.postgres import require_postgres
from config.privacy import PersonalParts, open_personal
from config.sections import Settings
from config.start import CannotStart, first_line
from domain.errors import StoreUnavailable
from infrastructure.cosmos.database import Observe, Unusable
from infrastructure.memory.leases import LocalLeases
from infrastructure.postgres.checkpoints import PostgresCheckpoints
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.event_store import postgres_log_settings
from infrastructure.postgres.leases import PostgresLeases
from infrastructure.postgres.recorder import LogRecorder as PostgresLogRecorder
from infrastructure.postgres.snapshots import PostgresSnapshots
from infrastructure.postgres.step_calls import PostgresStepCalls
from infrastructure.postgres.timers import PostgresTimers
from infrastructure.postgres.wakeups import PostgresWakeups
from infrastructure.sqlite.build_notes import SqliteBuildNotes
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.documents import SqliteDocuments
from infrastructure.sqlite.event_store import followers_file, sqlite_log_settings
from infrastructure.sqlite.snapshots import SqliteSnapshots, snapshots_file
from infrastructure.sqlite.step_calls import SqliteStepCalls
from infrastructure.sqlite.timers import SqliteTimers
from projections.ports import Checkpoints, Container, MendableDocuments

DOCUMENTS_FILE = "documents.db"

_COMMANDS_AT_ONCE = 100


class Stores(msgspec.Struct, frozen=True):
    """Every store that the service uses.

    The projections' positions lie beside the documents, those of the outbox and the policies beside
    the log: documents that are thrown away come back without a message being sent again.
    """

    event_store: EventStore
    documents: MendableDocuments
    document_positions: Checkpoints
    log_positions: Checkpoints
    timers: Timers
    step_calls: StepCalls
    leases: Leases
    """For what all instances on the log share."""
    document_leases: Leases
    """For what keeps the documents up to date: as many as there are sets of documents do it."""
    audit: AuditStores
    personal: PersonalParts
    wakeups: "Wakeups | None" = None
    build_notes: SqliteBuildNotes | None = None
    """What is being rebuilt, where documents are in SQLite."""


class Wakeups(Protocol):
    """Wakes followers when another process has appended."""

    async def run(self) -> None:
        """Do so until cancelled, whatever happens to the store meanwhile."""
        ...


class SharedStores(msgspec.Struct, frozen=True):
    """What a command reads beside a running service, and what it writes documents to.

    ``database`` and ``file`` hold the documents where they are in SQLite.
    """

    event_store: EventStore
    documents: MendableDocuments
    document_positions: Checkpoints
    database: SqliteDatabase | None = None
    file: Path | None = None


def unobserved(container: str, operation: str, charge: float, seconds: float) -> None:
    """For a command that ends: nobody reads its metrics."""


async def open_stores(
    settings: Settings,
    containers: Sequence[Container],
    stack: AsyncExitStack,
    *,
    observe_cosmos: Observe = unobserved,
) -> Stores:
    """Open everything; ``stack`` closes it again. ``observe_cosmos`` is told of each call to Cosmos DB.

    Raises:
        CannotStart: a store is of no use, or stayed away longer than the settings allow.
    """
    try:
        return await _open_stores(settings, containers, stack, observe_cosmos)
    except (StoreUnavailable, Unusable) as error:
        raise CannotStart(f"a store cannot be opened: {first_line(error)}") from error


async def open_beside(
    settings: Settings, containers: Sequence[Container], stack: AsyncExitStack, *, as_they_are: bool = False
) -> SharedStores:
    """Open the log and the documents, also where a service is at work on them: SQLite lets one writer at a
    time at a file, whatever process it is in, and what the service itself keeps in memory of its log and its
    leases is not touched. ``as_they_are``: what is missing is not made.

    Raises:
        CannotStart: a store is of no use, or stayed away longer than the settings allow.
    """
    try:
        if as_they_are:
            require_log(settings)
        personal = await open_personal(settings, stack, as_they_are=as_they_are)
        event_store = await open_log_beside(settings, stack, personal)
        if settings.cosmos_db.endpoint:
            cosmos, positions = await open_cosmos(
                settings, containers, stack, unobserved, as_they_are=as_they_are
            )
            return SharedStores(event_store, cosmos, positions)
        path = settings.storage.data_dir / DOCUMENTS_FILE
        if as_they_are:
            _require_file(path)
        file = SqliteDatabase(path, synchronous="NORMAL")
        stack.callback(file.close)
        checkpoints = SqliteCheckpoints(file)
        if not as_they_are:
            await checkpoints.create()
        return SharedStores(event_store, SqliteDocuments(file), checkpoints, file, path)
    except (StoreUnavailable, Unusable) as error:
        raise CannotStart(f"a store cannot be opened: {first_line(error)}") from error


def require_log(settings: Settings) -> None:
    """See that a log in a file is there, for what must not make one.

    Raises:
        CannotStart: it is not.
    """
    if not settings.storage.is_shared:
        url = settings.storage.effective_event_store_url.get_secret_value()
        _require_file(Path(url.removeprefix("sqlite:///")))


def _require_file(path: Path) -> None:
    if not path.exists():
        raise CannotStart(f"there is no {path}: no service has been at work there")


async def open_log_beside(settings: Settings, stack: AsyncExitStack, personal: PersonalParts) -> EventStore:
    """The log, also where a service is at work on it.

    Raises:
        CannotStart, StoreUnavailable: it is of no use, or cannot be opened.
    """
    url = settings.storage.effective_event_store_url.get_secret_value()
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        return await _store_over(await _open_log(sqlite_log_settings(path), personal), stack)
    await require_postgres(settings, url)
    connections = OTHER_THREADS + 1
    log_settings = postgres_log_settings(url, connections=connections)
    return await _store_over(await _open_log(log_settings, personal), stack)


async def _open_stores(
    settings: Settings, containers: Sequence[Container], stack: AsyncExitStack, observe_cosmos: Observe
) -> Stores:
    documents: MendableDocuments
    document_positions: Checkpoints
    build_notes: SqliteBuildNotes | None = None
    if settings.cosmos_db.endpoint:
        documents, document_positions = await open_cosmos(settings, containers, stack, observe_cosmos)
    else:
        documents, document_positions, build_notes = await _embedded_documents(settings, containers, stack)

    url = settings.storage.effective_event_store_url.get_secret_value()
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        data_dir = settings.storage.data_dir
        if path.parent.resolve() != data_dir.resolve():
            claim(path.parent, "storage.event_store_url", stack)
        elif settings.cosmos_db.endpoint:
            claim(data_dir, "storage.data_dir", stack)
        stores = await _with_sqlite_log(settings, path, documents, document_positions, stack)
        return msgspec.structs.replace(stores, build_notes=build_notes)
    await require_postgres(settings, url)
    personal = await open_personal(settings, stack)
    database = PostgresDatabase(url)
    await database.open()
    stack.push_async_callback(database.close)
    connections = settings.storage.pool_size
    log = await _open_log(postgres_log_settings(url, connections=connections), personal)
    recorder = cast(PostgresLogRecorder, log.recorder)
    event_store = await _store_over(
        log,
        stack,
        snapshots=PostgresSnapshots(recorder.datastore),
        threads=connections - OTHER_THREADS,
        at_once=_COMMANDS_AT_ONCE if settings.storage.group_commit else 1,
    )
    leases = PostgresLeases(database)
    return Stores(
        event_store,
        documents,
        document_positions,
        PostgresCheckpoints(database),
        PostgresTimers(database),
        PostgresStepCalls(database),
        leases,
        leases if settings.cosmos_db.endpoint else LocalLeases(),
        await open_postgres_audit(url, stack),
        personal,
        PostgresWakeups(url, event_store.notice, own=recorder.backends),
        build_notes,
    )


async def _embedded_documents(
    settings: Settings, containers: Sequence[Container], stack: AsyncExitStack
) -> tuple[MendableDocuments, Checkpoints, SqliteBuildNotes]:
    data_dir = settings.storage.data_dir
    claim(data_dir, "storage.data_dir", stack)
    file = SqliteDatabase(data_dir / DOCUMENTS_FILE, synchronous="NORMAL")
    stack.callback(file.close)
    documents, positions = SqliteDocuments(file), SqliteCheckpoints(file)
    await documents.create(containers)
    await positions.create()
    return documents, positions, SqliteBuildNotes(file)


async def _with_sqlite_log(
    settings: Settings,
    path: Path,
    documents: MendableDocuments,
    document_positions: Checkpoints,
    stack: AsyncExitStack,
) -> Stores:
    try:
        personal = await open_personal(settings, stack)
        log = await _open_log(sqlite_log_settings(path), personal)
        snapshots = SqliteSnapshots(snapshots_file(path))
        event_store = await _store_over(log, stack, snapshots=snapshots)
        followers = SqliteDatabase(followers_file(path), synchronous="NORMAL")
    except (OSError, StoreUnavailable) as error:
        raise CannotStart(f"the event store {path} cannot be opened: {error}") from error
    stack.callback(followers.close)
    positions, timers = SqliteCheckpoints(followers), SqliteTimers(followers)
    await positions.create()
    await timers.create()
    step_calls = SqliteStepCalls(followers)
    await step_calls.create()
    leases, audit = LocalLeases(), await open_sqlite_audit(path, followers, stack)
    return Stores(
        event_store,
        documents,
        document_positions,
        positions,
        timers,
        step_calls,
        leases,
        leases,
        audit,
        personal,
    )


async def _open_log(log_settings: dict[str, str], personal: PersonalParts) -> EventLog:
    try:
        return await run_sync(EventLog, log_settings, personal.sealing)
    except (PersistenceError, sqlite3.DatabaseError) as error:
        raise StoreUnavailable(first_line(error)) from error


async def _store_over(
    log: EventLog,
    stack: AsyncExitStack,
    *,
    threads: int = 1,
    at_once: int = _COMMANDS_AT_ONCE,
    snapshots: SnapshotStore | None = None,
) -> EventStore:
    event_store = EventStore(log, threads=threads, at_once=at_once, snapshots=snapshots)
    stack.callback(event_store.close)
    await event_store.ping()
    return event_store
