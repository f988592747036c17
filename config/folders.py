"""Folders that only one process may use."""

import errno
import fcntl
import os
from contextlib import AsyncExitStack
from pathlib import Path

from config.start import CannotStart

SERVICE = ".lock"
REBUILD = ".rebuild.lock"


def claim(folder: Path, key: str, stack: AsyncExitStack, *, to: str = SERVICE) -> None:
    """Claim a folder for this process alone, because two would conflict over its SQLite files. A missing
    folder is created, for this user only.

    ``to`` says for what: a rebuild runs beside a service, but not beside another rebuild. The claim ends with
    the process, however that ends.

    Raises:
        CannotStart: another process has it, or it cannot be created.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / to, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CannotStart(f"{key}: {folder} cannot be used: {error.strerror}") from error
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if to == REBUILD:
            raise CannotStart(f"{key}: in {folder} documents are being rebuilt or compared already") from None
        raise CannotStart(
            f"{key}: {folder} is in use by another process; stop it, or set another folder"
        ) from None


def claim_for_archives(folder: Path, stack: AsyncExitStack) -> None:
    """Claim the folder of archives for this process alone, because another one would finish or delete its
    half-written files. A missing folder is created, for this user only.

    The folder itself is locked, so that it holds archives and nothing else. NFS cannot lock a folder: there,
    nothing is claimed.

    Raises:
        CannotStart: another process has it.
        OSError: it cannot be created or opened.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(f"--out: another archive is writing to {folder}; archive again after it") from None
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise


def is_claimed(folder: Path) -> bool:
    """Return whether a service has claimed the folder."""
    try:
        descriptor = os.open(folder / SERVICE, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
