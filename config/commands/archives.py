"""The commands that move what has ended into archives, and back: which stores they use, and what they
print."""

import getpass
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path

import click
import msgspec
from eventsourcing.persistence import StoredEvent
from pydantic_core import PydanticCustomError

from application.archive import archive_file
from application.archive.archive_file import NoArchive
from application.archive.archiving import Archiving, Order
from application.archive.finished import is_finished
from application.archive.ports import ArchiveLog
from application.audit.anchors import PublicKey
from application.audit.export import Export
from application.event_mapper import read_with
from application.log_copy import Entry
from config.audit import NO_SIGNING_KEY, signer_of
from config.audit_stores import AuditSources, open_audit_for_reading
from config.commands.audit import public_keys_in
from config.commands.cosmos_archives import open_cosmos_archive_log
from config.folders import claim, claim_for_archives
from config.postgres import require_postgres
from config.projections import Projections
from config.sections import Settings
from config.start import CannotStart, first_line
from config.stores import DOCUMENTS_FILE
from domain.errors import Failure
from domain.event import Recorded
from infrastructure.clock import SystemClock
from infrastructure.postgres.archive_log import PostgresArchiveLog
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.sqlite.archive_log import SqliteArchiveLog, SqliteFollowers
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.event_store import followers_file
from infrastructure.sqlite.snapshots import SqliteSnapshots, snapshots_file
from interfaces.definitions.durations import seconds_of
from interfaces.rest.audit import shown_event
from projections.projection import Projection

_UNSIGNED = (
    f"WARNING: ARCHIVES ARE NOT SIGNED: {NO_SIGNING_KEY}. `audit verify --export` with a public key finds"
    " such files UNSIGNED, and nothing else has these payloads any more: give this command the service's key"
)


async def archive(
    settings: Settings,
    out: Path | None,
    *,
    older_than: str,
    tenant: str | None,
    reason: str | None,
    dry_run: bool,
    public_keys: Sequence[Path] = (),
) -> None:
    """Move things whose last event is older than that to files in a folder.

    Files are also written without a signing key, so that an existing cron job continues. This is said first,
    because nothing else has what is in them.

    Raises:
        CannotStart: a store or the folder cannot be used, or another archive uses the folder; a file is not
            what was written, or a tenant's events are not.
    """
    if out is None and not dry_run:
        raise CannotStart("--out DIR is missing: name the folder for the archives, or use --dry-run")
    now = SystemClock().now()
    order = Order(
        out=out or Path(),
        before=_before(now, older_than),
        tenant=tenant,
        by=f"system:{getpass.getuser()}",
        why=reason or f"older than {older_than}",
        now=now,
    )
    async with AsyncExitStack() as stack:
        archiving = await _opened(settings, stack, public_keys, alone=not dry_run)
        if signer_of(settings) is None:
            click.echo(_UNSIGNED, err=True)
        try:
            if dry_run:
                await _tell_plan(archiving, order)
            else:
                claim_for_archives(order.out, stack)
                await _carry_out(archiving, order)
        except (NoArchive, OSError, Failure) as error:
            raise CannotStart(f"stopped before the end; archive again to continue: {error}") from error
        _tell_held_back(archiving)
        if archiving.left_to_do is not None:
            click.echo(f"the room is not given back: {archiving.left_to_do}", err=True)
        told = [each.advice for each in archiving.damaged]
        if archiving.refused:
            told += [f"{tenant} is not archived: {what}" for tenant, what in archiving.refused.items()]
            told.append("`audit verify` tells more; whatever else could go has gone")
        if told:
            raise CannotStart("\n".join(told))


async def restore(settings: Settings, files: Sequence[Path], public_keys: Sequence[Path]) -> None:
    """Put the events of archives back into the log.

    Raises:
        CannotStart: the store cannot be used, or a file is not as it was written.
    """
    async with AsyncExitStack() as stack:
        archiving = await _opened(settings, stack, public_keys, alone=True)
        try:
            for file in files:
                click.echo(f"{file}: {await archiving.restore(file)} events are back in the log")
        except (NoArchive, OSError, Failure) as error:
            raise CannotStart(f"stopped; what was restored stays: {error}") from error


async def _carry_out(archiving: Archiving, order: Order) -> None:
    found = False
    async for told in archiving.run(order):
        found = True
        size = told.file.stat().st_size
        click.echo(
            f"{told.tenant}: {_counted(told.things, 'thing')}, {_counted(told.events, 'event')}: {told.file}"
            f" ({size:,} bytes, sha256 {told.sha256})"
        )
    if not found and not archiving.refused and not archiving.damaged and not archiving.held_back:
        click.echo("nothing is to be archived")


async def _tell_plan(archiving: Archiving, order: Order) -> None:
    found = False
    async for tenant, families in archiving.plan(order):
        found = True
        things = [thing for family in families for thing in family]
        events = sum(len(thing.positions) for thing in things)
        told = f"{_counted(len(things), 'thing')}, {_counted(events, 'event')}"
        click.echo(f"{tenant}: {told} would be archived")
    if not found and not archiving.held_back:
        click.echo("nothing is to be archived")


def _tell_held_back(archiving: Archiving) -> None:
    """Print what followers hold back. This is no failure: the next run archives what has been followed by
    then."""
    beyond: dict[str, int] = {}
    for behind in archiving.held_back.values():
        beyond[behind.by] = beyond.get(behind.by, 0) + behind.events
    for by, events in beyond.items():
        click.echo(
            f"left out, since {by} has not followed it yet: {_counted(events, 'event')}; let the service run"
            " until it has, then archive again"
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _before(now: datetime, age: str) -> datetime:
    try:
        return now - timedelta(seconds=seconds_of(age))
    except PydanticCustomError as error:
        raise CannotStart(
            f"--older-than {age}: must be a number with its unit, such as 90d or 12h"
        ) from error
    except OverflowError as error:
        raise CannotStart(f"--older-than {age}: is too long ago") from error


async def _opened(
    settings: Settings, stack: AsyncExitStack, public_keys: Sequence[Path], *, alone: bool
) -> Archiving:
    signer = signer_of(settings)
    keys: dict[str, PublicKey] = {**public_keys_in(public_keys)}
    if signer is not None:
        keys[signer.key_id] = signer.public
    try:
        log = await _archive_log(settings, stack, alone=alone)
        sources = await open_audit_for_reading(settings, stack)
    except (OSError, Failure) as error:
        raise CannotStart(f"the event store cannot be used: {first_line(error)}") from error
    return _over(settings, sources, log, keys)


def _over(
    settings: Settings, sources: AuditSources, log: ArchiveLog, keys: Mapping[str, PublicKey]
) -> Archiving:
    exports = Export(
        sources.log, sources.index, _read_sealed, shown_event, signer_of(settings), SystemClock()
    )
    projections = Projections.named_by(settings).all()

    def documents(events: Sequence[Entry]) -> dict[str, list[str]]:
        return documents_of(projections, [_read(event) for event in events])

    return Archiving(sources.log, sources.index, log, exports.selected, _finished, documents, keys)


def _read(entry: Entry) -> Recorded:
    """Read an event without its keys."""
    return read_with(StoredEvent(entry.stream, entry.version, entry.topic, entry.state), [])[0]


def _read_sealed(entry: Entry) -> tuple[Recorded, list[bytes | None]]:
    """Read an event without its keys, because neither what is erased one day nor the key to it may be in a
    file in clear."""
    return _read(entry), []


def documents_of(projections: Sequence[Projection], events: Sequence[Recorded]) -> dict[str, list[str]]:
    """Return the ids of the documents that events make, by container."""
    made: dict[str, list[str]] = {}
    for projection in projections:
        ids = {id: None for recorded in events for id in projection.reads(recorded.event)}
        if ids:
            made[projection.container.name] = list(ids)
    return made


def _finished(events: Sequence[Entry]) -> bool:
    try:
        return is_finished(events[0].stream, [_read(event) for event in events])
    except (LookupError, ValueError, msgspec.MsgspecError):
        return False


async def _archive_log(settings: Settings, stack: AsyncExitStack, *, alone: bool) -> ArchiveLog:
    """Open the log to archive from. A change in SQLite has to be made ``alone``, because a service remembers
    streams, and is not told.

    Followers of documents in the command's own folder count too, unless these are from before Cosmos DB was
    used.
    """
    url = settings.storage.effective_event_store_url.get_secret_value()
    if settings.storage.is_in_cosmos:
        return await open_cosmos_archive_log(settings, stack)
    own_documents = [] if settings.cosmos_db.endpoint else [settings.storage.data_dir / DOCUMENTS_FILE]
    if not url.startswith("sqlite:///"):
        await require_postgres(settings, url)
        postgres = PostgresDatabase(url, size=1)
        await postgres.open()
        stack.push_async_callback(postgres.close)
        return PostgresArchiveLog(postgres, SqliteFollowers(_opened_files(own_documents, stack)))
    path = Path(url.removeprefix("sqlite:///"))
    if not archive_file.is_there(path):
        raise CannotStart(f"there is no event store {path}")
    if alone:
        claim(path.parent, "storage.event_store_url", stack)
    (log,) = _opened_files([path], stack)
    followers = SqliteFollowers(_opened_files([followers_file(path), *own_documents], stack))
    snapshots = SqliteSnapshots(snapshots_file(path))
    stack.callback(snapshots.close)
    return SqliteArchiveLog(log, followers, snapshots)


def _opened_files(files: Sequence[Path], stack: AsyncExitStack) -> list[SqliteDatabase]:
    """Open those of some files that exist."""
    opened = [SqliteDatabase(file, synchronous="FULL") for file in filter(archive_file.is_there, files)]
    for database in opened:
        stack.callback(database.close)
    return opened
