"""The lines of files that anybody may have made: a packed megabyte can be a gigabyte without a line's end."""

from collections.abc import Iterator
from typing import BinaryIO

from domain.workflow.sizes import MOST_RESULT_BYTES

LONGEST_LINE = 6 * MOST_RESULT_BYTES
"""Bytes: twice the longest that an export has. That is of an event with all results of a workflow, which are
nothing but quotation marks: twice as large in the text of its stored bytes, and once more as it is shown."""


class LineTooLong(ValueError):
    """A line that nobody has written so; the text says which."""


def lines_in(opened: BinaryIO, longest: int = LONGEST_LINE) -> Iterator[bytes]:
    """The lines of an open file, with no more of it in memory than one of them.

    Raises:
        LineTooLong: there is one of more than ``longest`` bytes.
        OSError, EOFError, zlib.error: it cannot be read, or is damaged.
    """
    number = 0
    while line := opened.readline(longest + 1):
        number += 1
        if len(line) > longest:
            raise LineTooLong(f"line {number} is longer than {longest:,} bytes, which no line of ours is")
        yield line
