"""What asking and proving keep beside the log, and how they read the log itself."""

from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from application.audit.anchors import AnchorBook
from application.audit.ports import Index, IndexReader, StoredLog
from config.postgres import require_postgres
from config.sections import Settings
from config.start import CannotStart, first_line
from domain.errors import StoreUnavailable
from infrastructure.postgres.anchor_book import PostgresAnchorBook
from infrastructure.postgres.audit_index import PostgresAuditIndex
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.stored_log import PostgresStoredLog
from infrastructure.sqlite.anchor_book import SqliteAnchorBook
from infrastructure.sqlite.audit_index import SqliteAuditIndex, audit_file
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.stored_log import SqliteStoredLog

_CONNECTIONS = 3
_CLOSE_SECONDS = 0.1
"""A stop has no more than a moment for them, behind what the log itself takes."""


class AuditSources(msgspec.Struct, frozen=True):
    """The log as it is stored and the index beside it, to be read."""

    log: StoredLog
    index: IndexReader


class AuditStores(msgspec.Struct, frozen=True):
    """The log as it is stored, the index beside it, and the last anchors."""

    log: StoredLog
    index: Index
    anchors: AnchorBook


async def open_audit_for_reading(settings: Settings, stack: AsyncExitStack) -> AuditSources:
    """Those of the configured store, whether or not a service runs on it; nothing is written.

    Raises:
        CannotStart: there is no store, or it is of no use.
    """
    url = settings.storage.effective_event_store_url.get_secret_value()
    try:
        if not url.startswith("sqlite:///"):
            await require_postgres(settings, url)
            stores = await open_postgres_audit(url, stack)
            return AuditSources(stores.log, stores.index)
        return await _open_files_for_reading(Path(url.removeprefix("sqlite:///")), stack)
    except StoreUnavailable as error:
        raise CannotStart(f"the event store cannot be read: {first_line(error)}") from error


async def _open_files_for_reading(path: Path, stack: AsyncExitStack) -> AuditSources:
    if not _is_there(path):
        raise CannotStart(f"there is no event store {path}")

    def opened(file: Path) -> SqliteDatabase:
        database = SqliteDatabase(file, synchronous="FULL", read_only=True)
        stack.callback(database.close)
        return database

    if _is_there(audit_file(path)):
        index = SqliteAuditIndex(opened(audit_file(path)))
    else:
        folder = stack.enter_context(TemporaryDirectory())
        empty = SqliteDatabase(Path(folder) / "empty.db", synchronous="NORMAL")
        stack.callback(empty.close)
        index = SqliteAuditIndex(empty)
        await index.create()
    return AuditSources(SqliteStoredLog(opened(path)), index)


def _is_there(file: Path) -> bool:
    return file.is_file()


async def open_sqlite_audit(path: Path, followers: SqliteDatabase, stack: AsyncExitStack) -> AuditStores:
    """Those of a log in a file: connections of their own, so that nothing waits for a long reading.

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
    return AuditStores(SqliteStoredLog(events), index, anchors)


async def open_postgres_audit(url: str, stack: AsyncExitStack) -> AuditStores:
    """Those of a log in PostgreSQL, on connections of their own likewise.

    Raises:
        StoreUnavailable: the server does not answer.
    """
    database = PostgresDatabase(url, size=_CONNECTIONS, close_seconds=_CLOSE_SECONDS)
    await database.open()
    stack.push_async_callback(database.close)
    return AuditStores(
        PostgresStoredLog(database), PostgresAuditIndex(database), PostgresAnchorBook(database)
    )
