"""A name in a folder is there for good."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Have what was made, renamed or linked in a folder outlive a loss of power.

    Raises:
        OSError: the system does not say so.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
