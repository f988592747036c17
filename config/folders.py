"""Folders that one process has for itself."""

import fcntl
import os
from contextlib import AsyncExitStack
from pathlib import Path

from config.start import CannotStart


def claim(folder: Path, key: str, stack: AsyncExitStack) -> None:
    """Take a folder for this process alone: two would fight over the SQLite files in it.

    Raises:
        CannotStart: another process has it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CannotStart(f"{key}: {folder} cannot be used: {error.strerror}") from error
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(
            f"{key}: {folder} is in use by another process; stop it, or set another folder"
        ) from None
