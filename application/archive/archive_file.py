"""An archive's file: an export of some of a tenant's events, on the disk and verified before any event is
replaced.

While its events are being replaced the file has another name (``.pending``), so that a run after a kill finds
it, and finishes.
"""

import gzip
import os
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from application.archived_state import SUFFIX
from application.audit.anchors import PublicKey
from application.audit.export_lines import Line, read_line, state_of
from application.audit.verify_export import NoExport, verify_export
from application.bounded_lines import LineTooLong, lines_in
from application.event_log import number_of
from application.log_copy import Entry
from application.synced_folder import sync_folder

PART, PENDING = ".part", ".pending"

_CHUNK = 1 << 20
_LEVEL = 6

_UNREADABLE = (OSError, EOFError, zlib.error)
"""Not there, cut off, or damaged."""


class NoArchive(Exception):
    """A file is no archive, or not as it was written."""


class _Position(msgspec.Struct):
    position: str


_position = msgspec.json.Decoder(_Position)


async def write(path: Path, lines: AsyncIterator[bytes], keys: Mapping[str, PublicKey]) -> str:
    """Write an archive and read it back; it then has its pending name. Return the SHA-256 of the file.

    Raises:
        NoArchive: something in it is not as it was written; the file is deleted again.
        OSError: it cannot be written.
    """
    part, pending = _named(path, PART), _named(path, PENDING)
    with part.open("wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw, mtime=0) as packed:
            async for chunk in lines:
                packed.write(chunk)
        raw.flush()
        os.fsync(raw.fileno())
    try:
        verify(part, keys)
    except NoArchive:
        part.unlink()
        raise
    part.rename(pending)
    sync_folder(path.parent)
    return sha256_of(pending)


def verify(file: Path, keys: Mapping[str, PublicKey]) -> None:
    """Read an archive to its end, and verify it.

    Raises:
        NoArchive: something in it is not as it was written.
    """
    try:
        report = verify_export(_lines_of(file), keys)
    except NoExport as error:
        raise NoArchive(f"{file}: {error}") from error
    if report.findings:
        raise NoArchive(f"{file}: {report.findings[0].what}")


def entries_in(file: Path) -> Iterator[Entry]:
    """Yield the events that it holds, in the log's order.

    Raises:
        NoArchive: something in it is no event.
    """
    for text in _lines_of(file):
        line = read_line(text)
        if line is not None and line.kind == "event":
            yield _entry(file, line, text)


def tenant_of(file: Path) -> str:
    """Return the tenant whose events it holds.

    Raises:
        NoArchive: it is no archive.
    """
    header = read_line(next(_lines_of(file), b""))
    if header is None or header.kind != "header":
        raise NoArchive(f"{file}: it does not begin with the header of an export")
    return header.tenant_id


def finish(path: Path) -> None:
    """Give the file its final name, because all its events have been replaced."""
    _named(path, PENDING).rename(path)
    sync_folder(path.parent)


def pending_in(folder: Path) -> list[Path]:
    """Return the final names of the archives that are not finished. What was not even written completely is
    deleted."""
    for part in folder.glob(f"*.ndjson.gz{PART}"):
        part.unlink()
    return sorted(each.with_name(each.name.removesuffix(PENDING)) for each in folder.glob(f"*{PENDING}"))


def free(path: Path) -> Path:
    """Return a path, or the first beside it that no archive has, finished or not, so that none is
    overwritten."""
    beside = path
    for number in count(2):
        if not beside.exists() and not pending(beside).exists():
            break
        beside = path.with_name(f"{path.name.removesuffix(SUFFIX)}-{number}{SUFFIX}")
    return beside


def pending(path: Path) -> Path:
    """Return the name that the file has until it is finished."""
    return _named(path, PENDING)


def is_there(file: Path) -> bool:
    """Return whether the file exists."""
    return file.is_file()


def sha256_of(file: Path) -> str:
    """Return the hash of the file as it is on the disk, in hexadecimal digits."""
    digest = sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _lines_of(file: Path) -> Iterator[bytes]:
    try:
        with gzip.open(file, "rb") as opened:
            yield from lines_in(cast(BinaryIO, opened))
    except (LineTooLong, *_UNREADABLE) as error:
        raise NoArchive(f"{file}: {error}") from error


def _entry(file: Path, line: Line, text: bytes) -> Entry:
    if (state := state_of(line)) is None:
        raise NoArchive(f"{file}: event {line.number} is not whole")
    return Entry(number_of(_position.decode(text).position), line.stream, line.version, line.topic, state)


def _named(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
