"""Reads files of keys. Whatever a name leads to, only little of it is read."""

import errno
import os
from pathlib import Path

MOST_BYTES = 64 * 1024
"""A key in PEM has a hundred."""


def key_text(file: Path) -> bytes:
    """Return the content of a key file.

    Raises:
        OSError: it cannot be read, or is too large for a key.
    """
    with file.open("rb") as opened:
        text = opened.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(file))
    return text
