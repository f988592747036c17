"""The log in an SQLite file, and everything that lies beside it."""

from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from application.event_store import EventStore
from application.snapshots import SnapshotStore
from config.audit_stores import AuditSources, AuditStores
from config.privacy import PersonalParts, open_personal
from config.sections import Settings
from config.start import CannotStart
from config.stores import ShareStores, Stores, open_log, store_over
from domain.errors import StoreUnavailable
from infrastructure.memory.leases import LocalLeases
from infrastructure.sqlite.anchor_book import SqliteAnchorBook
from infrastructure.sqlite.audit_index import SqliteAuditIndex, audit_file
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.event_store import followers_file, sqlite_log_settings
from infrastructure.sqlite.snapshots import SqliteSnapshots, snapshots_file
from infrastructure.sqlite.step_calls import SqliteStepCalls
from infrastructure.sqlite.stored_log import SqliteStoredLog
from infrastructure.sqlite.timers import SqliteTimers
from projections.ports import Checkpoints, MendableDocuments


async def open_sqlite_stores(
    settings: Settings,
    path: Path,
    documents: MendableDocuments,
    document_positions: Checkpoints,
    stack: AsyncExitStack,
) -> Stores:
    """Open everything over a log in a file. ``stack`` closes it again.

    Raises:
        CannotStart: it cannot be opened, or cannot be used.
    """
    try:
        personal = await open_personal(settings, stack)
        snapshots = SqliteSnapshots(snapshots_file(path))
        event_store = await open_sqlite_log(path, stack, personal, snapshots=snapshots)
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
        [ShareStores(timers, step_calls)],
        leases,
        leases,
        audit,
        personal,
    )


async def open_sqlite_log(
    path: Path, stack: AsyncExitStack, personal: PersonalParts, *, snapshots: SnapshotStore | None = None
) -> EventStore:
    """Open only the log, even if a service uses it.

    Raises:
        StoreUnavailable: it cannot be opened.
    """
    return await store_over(await open_log(sqlite_log_settings(path), personal), stack, snapshots=snapshots)


async def open_sqlite_audit(path: Path, followers: SqliteDatabase, stack: AsyncExitStack) -> AuditStores:
    """Open what the audit trail of a log in a file needs, on connections of their own, so that nothing waits
    for a long read.

    Raises:
        StoreUnavailable: a file cannot be opened.
    """
    events = SqliteDatabase(path, synchronous="FULL")
    stack.callback(events.close)
    file = SqliteDatabase(audit_file(path), synchronous="NORMAL")
    stack.callback(file.close)
    index = SqliteAuditIndex(file)
    await index.create()
    anchors = SqliteAnchorBook(followers)
    await anchors.create()
    return AuditStores(SqliteStoredLog(events), index, anchors, index)


async def open_files_for_reading(path: Path, stack: AsyncExitStack) -> AuditSources:
    """Open what querying and proving need, whether or not a service runs. Nothing is written. An index that
    does not exist yet is empty.

    Raises:
        CannotStart: there is no such log.
        StoreUnavailable: a file cannot be opened.
    """
    if not _is_there(path):
        raise CannotStart(f"there is no event store {path}")

    def opened(file: Path) -> SqliteDatabase:
        database = SqliteDatabase(file, synchronous="FULL", read_only=True)
        stack.callback(database.close)
        return database

    if _is_there(audit_file(path)):
        index = SqliteAuditIndex(opened(audit_file(path)))
        if await index.exists():
            return AuditSources(SqliteStoredLog(opened(path)), index)
    folder = stack.enter_context(TemporaryDirectory())
    empty = SqliteDatabase(Path(folder) / "empty.db", synchronous="NORMAL")
    stack.callback(empty.close)
    index = SqliteAuditIndex(empty)
    await index.create()
    return AuditSources(SqliteStoredLog(opened(path)), index)


def _is_there(file: Path) -> bool:
    return file.is_file()
