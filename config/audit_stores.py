"""What querying and proving the audit trail store beside the log, and how they read the log itself."""

from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from application.audit.anchors import AnchorBook
from application.audit.ports import Index, IndexReader, StoredLog
from config.sections import Settings
from config.start import CannotStart, first_line
from domain.errors import StoreUnavailable


class AuditSources(msgspec.Struct, frozen=True):
    """The stored log and the index beside it, to read from."""

    log: StoredLog
    index: IndexReader


class AuditStores(msgspec.Struct, frozen=True):
    """The stored log, the index beside it, and the last anchors.

    ``made_index`` is the index if a follower makes it from the log. A log may also be its own index.
    """

    log: StoredLog
    index: IndexReader
    anchors: AnchorBook
    made_index: Index | None


async def open_audit_for_reading(settings: Settings, stack: AsyncExitStack) -> AuditSources:
    """Open those of the configured store, whether or not a service runs on it. Nothing is written.

    Raises:
        CannotStart: there is no store, or it cannot be used.
    """
    url = settings.storage.effective_event_store_url.get_secret_value()
    try:
        if url.startswith("sqlite:///"):
            from config.sqlite_stores import open_files_for_reading

            return await open_files_for_reading(Path(url.removeprefix("sqlite:///")), stack)
        if settings.storage.is_in_cosmos:
            from config.cosmos_stores import open_cosmos_audit

            return await open_cosmos_audit(settings, stack)
        from config.postgres import require_postgres
        from config.postgres_stores import open_postgres_audit

        await require_postgres(settings, url)
        stores = await open_postgres_audit(url, stack)
        return AuditSources(stores.log, stores.index)
    except StoreUnavailable as error:
        raise CannotStart(f"the event store cannot be read: {first_line(error)}") from error
