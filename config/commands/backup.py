"""A backup of an embedded store: its files, copied in the order in which none has too much or too little.

- The anchors and the positions of followers are copied before the log. If they were later than the log, it
  would seem to be another log, or a truncated one. Events after them are published again.
- The keys are copied after the log, so that every value in it is sealed under one of them.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import click
from anyio.to_thread import run_sync

from application.synced_folder import sync_folder
from config.audit import anchor_file_of
from config.master_key import embedded_key_file_of, former_key_file_of, master_key_file_of
from config.privacy import CopiedKeys, open_keys
from config.sections import Settings
from config.start import CannotStart
from config.stores import require_log
from domain.errors import StoreUnavailable
from infrastructure.sqlite.event_store import followers_file
from infrastructure.sqlite.personal_keys import keys_file

_LOCK_TIMEOUT_SECONDS = 30.0


async def backup(settings: Settings, folder: Path) -> None:
    """Copy the files into a new folder, whether or not the service runs, and print what was copied.

    Raises:
        CannotStart: the folder exists already, or half of one that another backup is writing or has left; a
            file cannot be copied; somebody is being erased; or the log is in a database with its own means
            of backup.
    """
    url = settings.storage.effective_event_store_url.get_secret_value()
    if settings.storage.is_shared or settings.storage.is_in_cosmos:
        raise CannotStart(
            "backup copies files only; back up a database with its own tools: docs/runbooks/backup.md"
        )
    await require_log(settings)
    try:
        for line in await run_sync(_backup, settings, url, folder):
            click.echo(line)
    except (OSError, StoreUnavailable) as error:
        raise CannotStart(f"{folder}: the backup cannot be written: {error}") from error


def _backup(settings: Settings, url: str, folder: Path) -> Sequence[str]:
    if folder.exists():
        raise CannotStart(f"{folder} already exists: name a new folder")
    log = Path(url.removeprefix("sqlite:///"))
    with _half(folder) as half:
        with closing(open_keys(url)) as keys:
            erasures = _erasures_until_now(keys)
            if (anchors := anchor_file_of(settings)) is not None and anchors.is_file():
                _copy_file(anchors, half)
            for file in (followers_file(log), log):
                if file.is_file():
                    _copy_database(file, half)
            _copy_database(keys_file(log), half)
            if _erasures_until_now(keys) != erasures:
                raise CannotStart("a person was erased during the backup: run it again")
        copied = sorted(half.iterdir())
        sync_folder(half)
        half.rename(folder)
        sync_folder(folder.parent)
    return [*(f"copied {each.name}" for each in copied), *_told_of_the_master_key(settings)]


@contextmanager
def _half(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside the given one. If the block fails, the folder is deleted.

    Raises:
        CannotStart: it is there already. Only a person can know whether anybody is still writing to it.
    """
    half = folder.with_name(f"{folder.name}.half")
    try:
        half.mkdir(parents=True, mode=0o700)
    except FileExistsError as error:
        raise CannotStart(
            f"{half} is there already: another backup is writing to it, or was killed. If none is running,"
            " delete it and run the backup again"
        ) from error
    try:
        yield half
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise


def _told_of_the_master_key(settings: Settings) -> Sequence[str]:
    file = master_key_file_of(settings)
    if file is None:
        where = "privacy.master_key"
    elif (embedded := embedded_key_file_of(settings)) and former_key_file_of(embedded).exists():
        where = f"{file} and {former_key_file_of(embedded)}, since `keys rotate` has not ended"
    else:
        where = str(file)
    return [f"not copied: {where}, without which every personal field is lost. Keep it elsewhere"]


def _erasures_until_now(keys: CopiedKeys) -> int:
    """Return how many erasures there were. No log would record half an erasure in a copy."""
    if keys.untold():
        raise CannotStart(
            "an erasure is not complete: run the backup again in a minute, or, if no service runs, after"
            " `erase` has completed it"
        )
    return keys.erasures()


def _copy_database(file: Path, folder: Path) -> None:
    """Copy the file as of one moment, including what is in the write-ahead log.

    Raises:
        CannotStart: it cannot be read, the copy cannot be written, or it is damaged.
    """
    target = folder / file.name
    try:
        with (
            closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.execute(f"PRAGMA busy_timeout={round(_LOCK_TIMEOUT_SECONDS * 1000)}")
            source.backup(copy)
            (said,) = copy.execute("PRAGMA quick_check").fetchone()
    except sqlite3.Error as error:
        raise CannotStart(f"{file} cannot be copied to {target}: {error}") from error
    if said != "ok":
        raise CannotStart(f"{file} is damaged: {said}")
    _sync(target)


def _copy_file(file: Path, folder: Path) -> None:
    _sync(Path(shutil.copy(file, folder)))


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
