"""Opens the stores of events, documents, positions and timers, and waits for those that are away.

What is special to a store is in a module of its own, which is imported only if that store is opened: the
client libraries of PostgreSQL, Cosmos DB and RabbitMQ would take over a third of a start and of its memory.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import msgspec
from anyio.to_thread import run_sync
from eventsourcing.persistence import PersistenceError

from application.event_log import EventLog
from application.event_store import EventStore
from application.ports import Leases, StepCalls, Timers
from application.snapshots import SnapshotStore
from application.store_clock import StoreClock
from config.audit_stores import AuditStores
from config.folders import REBUILD, claim
from config.privacy import PersonalParts, open_personal
from config.recipes import tell_of_other_recipes
from config.sections import Settings
from config.start import CannotStart, first_line
from domain.errors import StoreUnavailable
from domain.share import WHOLE, Share
from infrastructure.cosmos.observing import Observe, unobserved
from infrastructure.sqlite.build_notes import SqliteBuildNotes
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.documents import SqliteDocuments
from projections.ports import Checkpoints, Container, MendableDocuments

DOCUMENTS_FILE = "documents.db"

COMMANDS_AT_ONCE = 100


class Stores(msgspec.Struct, frozen=True):
    """Every store that the service uses.

    The projections' positions lie beside the documents, those of the outbox and the policies beside the log.
    So documents that are deleted come back without a message being sent again.
    """

    event_store: EventStore
    documents: MendableDocuments
    document_positions: Checkpoints
    log_positions: Checkpoints
    shares: "Sequence[ShareStores]"
    """The shares of the log; the whole, if it has one order for all tenants."""
    leases: Leases
    """For what all instances on the log share."""
    document_leases: Leases
    """For what keeps the documents up to date: each set of documents has an instance that does so."""
    audit: AuditStores
    personal: PersonalParts
    wakeups: "Wakeups | None" = None
    build_notes: SqliteBuildNotes | None = None
    """What is being rebuilt, if documents are in SQLite."""
    store_clock: StoreClock = msgspec.field(default_factory=StoreClock)
    """The log's clock. If no other process shares the log, it is never read."""


class ShareStores(msgspec.Struct, frozen=True):
    """What lies beside a share of the log."""

    timers: Timers
    step_calls: StepCalls
    share: Share = WHOLE


class Wakeups(Protocol):
    """Wakes followers when another process has appended."""

    async def run(self) -> None:
        """Do so until cancelled, whatever happens to the store meanwhile."""
        ...


class SharedStores(msgspec.Struct, frozen=True):
    """What a command reads beside a running service, and where it writes documents.

    ``database`` and ``file`` hold the documents if they are in SQLite.
    """

    event_store: EventStore
    documents: MendableDocuments
    document_positions: Checkpoints
    database: SqliteDatabase | None = None
    file: Path | None = None


async def open_stores(
    settings: Settings,
    containers: Sequence[Container],
    stack: AsyncExitStack,
    *,
    observe_cosmos: Observe = unobserved,
) -> Stores:
    """Open everything. ``stack`` closes it again. ``observe_cosmos`` is called for each call to Cosmos DB.

    Raises:
        CannotStart: a store cannot be used, or stayed away longer than the settings allow.
    """
    try:
        stores = await _open_stores(settings, containers, stack, observe_cosmos)
        names = [each.name for each in containers]
        await tell_of_other_recipes(names, stores.document_positions, stores.event_store)
        return stores
    except StoreUnavailable as error:
        raise CannotStart(f"a store cannot be opened: {first_line(error)}") from error


async def open_beside(
    settings: Settings,
    containers: Sequence[Container],
    stack: AsyncExitStack,
    *,
    as_they_are: bool = False,
    builds: bool = False,
) -> SharedStores:
    """Open the log and the documents, even if a service uses them. SQLite lets one writer at a time use a
    file, whichever process it is in; what the service itself keeps in memory of its log and its leases is not
    affected.

    ``as_they_are``: nothing that is missing is created. ``builds``: nobody else rebuilds or compares
    documents in the same folder meanwhile.

    Raises:
        CannotStart: there is no log; a store cannot be used, or stayed away longer than the settings allow;
            or another process rebuilds or compares.
    """
    try:
        await require_log(settings)
        if builds:
            claim(settings.storage.data_dir, "storage.data_dir", stack, to=REBUILD)
        personal = await open_personal(settings, stack, as_they_are=as_they_are)
        event_store = await open_log_beside(settings, stack, personal)
        if settings.cosmos_db.endpoint:
            from config.cosmos import open_cosmos

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
    except StoreUnavailable as error:
        raise CannotStart(f"a store cannot be opened: {first_line(error)}") from error


async def require_log(settings: Settings) -> None:
    """Check that a log exists, for commands that must not create one. A log in PostgreSQL is looked for when
    it is opened.

    Raises:
        CannotStart: there is none.
        StoreUnavailable: this cannot be known now.
    """
    if settings.storage.is_in_cosmos:
        from config.cosmos import require_cosmos_log

        await require_cosmos_log(settings)
    elif not settings.storage.is_shared:
        url = settings.storage.effective_event_store_url.get_secret_value()
        _require_file(Path(url.removeprefix("sqlite:///")))


def _require_file(path: Path) -> None:
    if not path.exists():
        raise CannotStart(f"there is no {path}: no service has been at work there")


async def open_log_beside(settings: Settings, stack: AsyncExitStack, personal: PersonalParts) -> EventStore:
    """Open the log, even if a service uses it.

    Raises:
        CannotStart, StoreUnavailable: it cannot be used, or cannot be opened.
    """
    url = settings.storage.effective_event_store_url.get_secret_value()
    if url.startswith("sqlite:///"):
        from config.sqlite_stores import open_sqlite_log

        return await open_sqlite_log(Path(url.removeprefix("sqlite:///")), stack, personal)
    if settings.storage.is_in_cosmos:
        from config.cosmos_stores import open_cosmos_log_beside

        return await open_cosmos_log_beside(settings, stack, personal)
    from config.postgres_stores import open_postgres_log_beside

    return await open_postgres_log_beside(settings, url, stack, personal)


async def _open_stores(
    settings: Settings, containers: Sequence[Container], stack: AsyncExitStack, observe_cosmos: Observe
) -> Stores:
    documents: MendableDocuments
    document_positions: Checkpoints
    build_notes: SqliteBuildNotes | None = None
    if settings.cosmos_db.endpoint:
        from config.cosmos import open_cosmos

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
        from config.sqlite_stores import open_sqlite_stores

        stores = await open_sqlite_stores(settings, path, documents, document_positions, stack)
    elif settings.storage.is_in_cosmos:
        from config.cosmos_stores import open_cosmos_stores

        stores = await open_cosmos_stores(settings, documents, document_positions, stack, observe_cosmos)
    else:
        from config.postgres_stores import open_postgres_stores

        stores = await open_postgres_stores(settings, url, documents, document_positions, stack)
    return msgspec.structs.replace(stores, build_notes=build_notes)


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


async def open_log(log_settings: dict[str, str], personal: PersonalParts) -> EventLog:
    """Open the log with the library's recorder that its settings name.

    Raises:
        StoreUnavailable: it cannot be opened.
    """
    try:
        return await run_sync(EventLog, log_settings, personal.sealing)
    except (PersistenceError, sqlite3.DatabaseError) as error:
        raise StoreUnavailable(first_line(error)) from error


async def store_over(
    log: EventLog,
    stack: AsyncExitStack,
    *,
    threads: int = 1,
    at_once: int = COMMANDS_AT_ONCE,
    snapshots: SnapshotStore | None = None,
) -> EventStore:
    """Build the event store over an open log. ``stack`` closes both.

    Raises:
        StoreUnavailable: it does not answer.
    """
    event_store = EventStore(log, threads=threads, at_once=at_once, snapshots=snapshots)
    stack.callback(event_store.close)
    await event_store.ping()
    return event_store
