"""File descriptors: a process that has none left cannot open its stores, and these are not at fault."""

import errno
import os
from contextlib import ExitStack

_A_FEW = 4
"""What a store opens at a time: SQLite has two files beside its own."""

_NONE_LEFT = (errno.EMFILE, errno.ENFILE)


def none_are_left() -> bool:
    """Whether this process could not open a few more files."""
    with ExitStack() as opened:
        try:
            for _ in range(_A_FEW):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            return error.errno in _NONE_LEFT
    return False


def reason_of(error: Exception) -> str:
    """What an error says, and that there are no file descriptors left where it may come from that."""
    said = str(error) or type(error).__name__
    return f"{said}; this process has no file descriptors left (ulimit -n)" if none_are_left() else said
