"""Standard streams that were closed by whoever started the process.

The next opened file takes the number of a closed one. Log lines would be written to a connection at number 2,
and closing it would end the process through the event loop.
"""

import os
import sys


def open_what_is_closed() -> None:
    """Open each closed stream to nowhere. Call this before anything is opened that stays open."""
    if _was_closed(0):
        sys.stdin = os.fdopen(0, closefd=False)
    if _was_closed(1):
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if _was_closed(2):
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _was_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        assert nowhere == number, "the lowest that is free, as those below are open"
        os.set_inheritable(number, True)
        return True
    return False
