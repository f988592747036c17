"""File descriptors. A process that has none left cannot open its stores, but the stores are not at fault."""

import errno
import os
from contextlib import ExitStack

_A_FEW = 4
"""What a store opens at a time. SQLite opens two files beside its own."""

_NONE_LEFT = (errno.EMFILE, errno.ENFILE)


def none_are_left() -> bool:
    """Return whether this process cannot open a few more files."""
    with ExitStack() as opened:
        try:
            for _ in range(_A_FEW):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            return error.errno in _NONE_LEFT
    return False


def reason_of(error: Exception) -> str:
    """Return an error's text. If no file descriptors are left, which may be its cause, the text says so."""
    said = str(error) or type(error).__name__
    return f"{said}; this process has no file descriptors left (ulimit -n)" if none_are_left() else said
