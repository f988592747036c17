"""Standard streams that whoever started the process had closed.

The next file that is opened takes the number of one. A connection at number 2 would be written log lines, and
the event loop ends the process as it closes it.
"""

import os
import sys


def open_what_is_closed() -> None:
    """Let each lead nowhere. To be called before anything is opened that stays open."""
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
