"""A file that a command writes entirely, or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from application.synced_folder import sync_folder

PART = ".part"


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yield what to write to. Only at the end of the block does the file have its name, in the place of one
    that had it. If the block fails, the former file is as it was. A pipe or a device is written to directly.

    Raises:
        OSError: it cannot be written.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as opened:
            yield opened
        return
    target = path.resolve()
    part = target.with_name(f"{target.name}{PART}")
    try:
        with part.open("wb") as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
