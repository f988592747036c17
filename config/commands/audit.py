"""The commands that prove the audit trail: what they read, and what they print."""

import gzip
import os
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
import msgspec
from eventsourcing.persistence import JSONTranscoder, StoredEvent

from application.audit.export import Export, ReadsWithKeys
from application.audit.findings import Report
from application.audit.ports import StoredLog, Wanted
from application.audit.shown import Reread
from application.audit.verify_anchors import check_anchors
from application.audit.verify_export import NoExport, verify_export
from application.audit.verify_keys import KeyCheck
from application.audit.verify_store import verify_store
from application.bounded_lines import LineTooLong, lines_in
from application.event_log import is_position, number_of, position_of
from application.event_mapper import EventMapper, read_around, read_with
from application.log_batches import all_of
from application.log_copy import Entry
from config.audit import anchor_file_of, signer_of
from config.audit_stores import open_audit_for_reading
from config.commands.audit_report import tell
from config.commands.snapshot_check import open_snapshot_check
from config.commands.whole_file import whole_file
from config.key_files import key_text
from config.privacy import keys_as_they_are, open_personal
from config.sections import Settings
from config.start import CannotStart, first_line
from domain.errors import StoreUnavailable
from domain.event import Recorded
from domain.values import in_utc
from infrastructure.clock import SystemClock
from infrastructure.signatures import BadKey, Ed25519Verifier, new_key, verifier_from
from interfaces.rest.audit import shown_around, shown_event


def verify_export_file(
    file: Path, public_keys: Sequence[Path], anchors: Sequence[Path], *, as_json: bool
) -> bool:
    """Check an export, and print the findings. Return whether there are none.

    Raises:
        CannotStart: a file cannot be read, or is something else.
    """
    keys = public_keys_in(public_keys)
    if anchors and not keys:
        raise CannotStart("--anchors needs --public-key, the key that they are signed with")
    anchored = chain.from_iterable(map(_lines_of, anchor_files(anchors))) if anchors else None
    size = max(1, file.stat().st_size) if file.is_file() else 1
    with _bar("verifying", size, hidden=as_json) as seen:
        try:
            report = verify_export(_lines_of(file), keys, anchored, rereads=_reread, progress=seen)
        except NoExport as error:
            raise CannotStart(f"{file}: {error}") from error
    return tell(report, as_json=as_json)


async def verify_live(
    settings: Settings, public_keys: Sequence[Path], anchors: Sequence[Path], *, as_json: bool
) -> bool:
    """Check the configured store, and print the findings. Return whether there are none.

    Raises:
        CannotStart: the store or a file cannot be read.
    """
    keys, report = public_keys_in(public_keys), Report()
    if (signer := signer_of(settings)) is not None:
        keys[signer.key_id] = signer.public
    files = list(anchors)
    configured = anchor_file_of(settings)
    if not files and configured is not None and configured.is_file():
        files.append(configured)
    if files and not keys:
        raise CannotStart("anchors need --public-key, the key that they are signed with")
    if not files:
        report.warnings.append(
            "no anchors are given: anybody who could also change the index could have changed anything"
        )
    async with AsyncExitStack() as stack:
        stores = await open_audit_for_reading(settings, stack)
        known = check_anchors(chain.from_iterable(map(_lines_of, anchor_files(files))), keys, report)
        try:
            total = sum(head.number for head in await stores.index.heads())
            with _bar("verifying", max(1, total), hidden=as_json) as seen:
                snapshots = await open_snapshot_check(settings, stores, report, stack)
                personal = KeyCheck(stores.log, await keys_as_they_are(settings, stack))
                await verify_store(
                    stores.log, stores.index, known, report, seen, snapshots=snapshots, keys=personal
                )
            if files:
                report.warn_of_no_anchors(report.heads, known)
        except StoreUnavailable as error:
            raise CannotStart(f"the event store cannot be read: {first_line(error)}") from error
    return tell(report, as_json=as_json)


async def export_events(
    settings: Settings, tenant: str, out: Path | None, filters: Mapping[str, str]
) -> None:
    """Write a tenant's events to a file, entirely or not at all, or to standard output.

    Raises:
        CannotStart: the store cannot be read, the file cannot be written, or a time or position is invalid.
    """
    after, before = filters.get("after"), filters.get("before")
    wanted = Wanted(
        tenant=tenant,
        topic=filters.get("type"),
        aggregate_id=filters.get("aggregate_id"),
        actor=filters.get("actor"),
        correlation_id=filters.get("correlation_id"),
        after=_moment("--after", after),
        before=_moment("--before", before),
        after_position=_place(after) or 0,
        before_position=_place(before),
    )
    async with AsyncExitStack() as stack:
        stores = await open_audit_for_reading(settings, stack)
        try:
            for option, text in (("--after", after), ("--before", before)):
                if text is not None and is_position(text) and not await _knows(stores.log, tenant, text):
                    raise CannotStart(f"{option} {text}: it is not a position of this log")
            reads = await reading(settings, stack)
            export = Export(stores.log, stores.index, reads, shown_event, signer_of(settings), SystemClock())
            with ExitStack() as opened:
                target: BinaryIO = sys.stdout.buffer if out is None else opened.enter_context(whole_file(out))
                async for lines in export.chunks(wanted):
                    target.write(lines)
        except StoreUnavailable as error:
            raise CannotStart(f"the event store cannot be read: {first_line(error)}") from error
        except OSError as error:
            raise CannotStart(f"{out or 'standard output'}: {error.strerror}") from error


async def show_heads(settings: Settings, tenant: str | None, *, as_json: bool) -> None:
    """Print where each tenant's hash chain ends.

    Raises:
        CannotStart: the store cannot be read.
    """
    async with AsyncExitStack() as stack:
        stores = await open_audit_for_reading(settings, stack)
        try:
            if tenant is None:
                heads = await stores.index.heads()
            else:
                heads = [await stores.index.head(tenant)]
        except StoreUnavailable as error:
            raise CannotStart(f"the event store cannot be read: {first_line(error)}") from error
    for head in heads:
        if as_json:
            told = {
                "tenantId": head.tenant,
                "number": head.number,
                "position": head.position,
                "hash": head.chain.hex(),
            }
            click.echo(msgspec.json.encode(told))
        else:
            click.echo(f"{head.tenant}  {head.number:>12}  {head.chain.hex()}")


def make_key(file: Path) -> None:
    """Create a key that only its owner can read, and its public key beside it. No file is overwritten.

    Raises:
        CannotStart: a file exists already, cannot be written, or has the name that the public key should get.
    """
    public = file.with_suffix(".pub")
    if file == public:
        raise CannotStart(f"{file}: .pub is for the public key; use {file.with_suffix('.pem')}")
    pem, signer = new_key()
    with ExitStack() as made:
        try:
            for path, content, mode in ((file, pem, 0o600), (public, signer.public.pem, 0o644)):
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
                made.callback(path.unlink)
                with open(handle, "wb") as opened:
                    opened.write(content)
        except OSError as error:
            raise CannotStart(f"{error.filename or file}: {error.strerror}") from error
        made.pop_all()
    click.echo(f"{file}: the private key, for audit.signing_key_file; keep it secret")
    click.echo(f"{public}: the public key, for whoever is to verify")
    click.echo(f"key id: {signer.key_id}")


async def reading(settings: Settings, stack: AsyncExitStack) -> ReadsWithKeys:
    """Return what reads stored events of the configured store with its personal keys.

    Raises:
        CannotStart, StoreUnavailable: the keys cannot be had.
    """
    mapper = EventMapper(transcoder=JSONTranscoder())
    mapper.sealing = (await open_personal(settings, stack, as_they_are=True)).sealing

    def read(entry: Entry) -> tuple[Recorded, list[bytes | None]]:
        return mapper.read_with_keys(_stored(entry))

    return read


def _reread(entry: Entry, keys: Sequence[bytes | None]) -> Reread | None:
    try:
        version, around = read_around(_stored(entry))
    except (ValueError, msgspec.MsgspecError):
        return None
    try:
        recorded, erased = read_with(_stored(entry), keys)
    except (LookupError, ValueError, msgspec.MsgspecError):
        return Reread(shown_around(around, entry.topic, version), stored_at=version)
    return Reread(shown_event(recorded), stored_at=version, erased=erased)


def _stored(entry: Entry) -> StoredEvent:
    return StoredEvent(entry.stream, entry.version, entry.topic, entry.state)


def anchor_files(given: Sequence[Path]) -> Iterator[Path]:
    """Yield the given files, and those in the given folders.

    Raises:
        CannotStart: a folder cannot be read.
    """
    for path in given:
        try:
            yield from sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
        except OSError as error:
            raise CannotStart(f"{path}: {error.strerror}") from error


def public_keys_in(files: Sequence[Path]) -> dict[str, Ed25519Verifier]:
    """Return the keys in files, by their ids.

    Raises:
        CannotStart: a file cannot be read, or has none.
    """
    keys = []
    for file in files:
        try:
            keys.append(verifier_from(key_text(file)))
        except OSError as error:
            raise CannotStart(f"{file}: {error.strerror}") from error
        except BadKey as bad:
            raise CannotStart(f"{file}: {bad}") from bad
    return {key.key_id: key for key in keys}


def _lines_of(file: Path) -> Iterator[bytes]:
    """Yield lines. A compressed file may turn out to be damaged at any line; then no findings are printed."""
    try:
        with cast(BinaryIO, gzip.open(file)) if file.suffix == ".gz" else file.open("rb") as opened:
            yield from lines_in(opened)
    except (OSError, EOFError, zlib.error, LineTooLong) as error:
        raise CannotStart(f"{file}: {getattr(error, 'strerror', None) or error}") from error


def _moment(option: str, text: str | None) -> datetime | None:
    if text is None or is_position(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CannotStart(f"{option} {text}: it is neither a time with an offset nor a position of the log")
    return in_utc(moment)


async def _knows(log: StoredLog, tenant: str, position: str) -> bool:
    if not (number := number_of(position)):
        return True
    found = (await all_of(log.at(log.partition_of(tenant), [number]))).get(number)
    return found is not None and position_of(found.id, found.stream, found.version) == position


def _place(text: str | None) -> int | None:
    return number_of(text) if text is not None and is_position(text) else None


@contextmanager
def _bar(doing: str, length: int, *, hidden: bool) -> Iterator[Any]:
    hidden = hidden or not sys.stderr.isatty()
    with click.progressbar(length=length, label=doing, hidden=hidden, file=sys.stderr) as bar:
        yield bar.update
