"""Opens the snapshots of the configured store, to compare them with its log, whether or not a service
runs."""

import sqlite3
from contextlib import AsyncExitStack
from pathlib import Path

from anyio.to_thread import run_sync
from eventsourcing.persistence import JSONTranscoder, PersistenceError, StoredEvent

from application.audit.findings import Report
from application.audit.verify_snapshots import SnapshotCheck
from application.event_mapper import EventMapper
from application.log_copy import Entry
from application.snapshots import SnapshotStore
from config.audit_stores import AuditSources
from config.privacy import open_personal
from config.sections import Settings
from config.start import CannotStart, first_line
from domain.event import Recorded
from infrastructure.sqlite.snapshots import SqliteSnapshots, snapshots_file


async def open_snapshot_check(
    settings: Settings, sources: AuditSources, report: Report, stack: AsyncExitStack
) -> SnapshotCheck | None:
    """Open what compares them. Return None if there are none, or if they cannot be compared, as the report
    then says.

    Raises:
        StoreUnavailable: the store is away.
    """
    mapper = EventMapper(transcoder=JSONTranscoder())

    def read(entry: Entry) -> Recorded:
        return mapper.to_domain_event(StoredEvent(entry.stream, entry.version, entry.topic, entry.state))

    try:
        store = await _snapshots_of(settings, sources, stack)
        if store is None:
            return None
        check = SnapshotCheck(store, read)
        if not await run_sync(check.begin):
            return None
        mapper.sealing = (await open_personal(settings, stack, as_they_are=True)).sealing
    except (sqlite3.Error, PersistenceError, CannotStart) as error:
        report.warnings.append(f"snapshots were not compared with their streams: {first_line(error)}")
        return None
    return check


async def _snapshots_of(
    settings: Settings, sources: AuditSources, stack: AsyncExitStack
) -> SnapshotStore | None:
    url = settings.storage.effective_event_store_url.get_secret_value()
    if url.startswith("sqlite:///"):
        file = snapshots_file(Path(url.removeprefix("sqlite:///")))
        if not file.is_file():
            return None
        store = SqliteSnapshots(file)
        stack.callback(store.close)
        return store
    if settings.storage.is_in_cosmos:
        from config.cosmos_stores import open_cosmos_snapshots

        return await open_cosmos_snapshots(settings, await sources.log.partitions(), stack)
    from config.postgres_stores import open_postgres_snapshots

    return await open_postgres_snapshots(url, stack)
