"""Log lines on their way out."""

import asyncio
from contextlib import suppress
from typing import BinaryIO

FLUSH_SECONDS = 0.05


class Lines:
    """Writes what tells of trouble at once, and the rest soon. A logger as structlog takes it.

    There is a line for each request, and a call to the system for each costs a short one a tenth of its time
    and, while a store's thread is at work, the interpreter's lock. What a process that is killed takes with
    it is the good news of its last moments.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._is_due = False

    def __call__(self, *_: object) -> "Lines":
        """As the factory of loggers: there is one."""
        return self

    def info(self, line: bytes) -> None:
        """Write a line that can wait for others."""
        self._file.write(line + b"\n")
        if self._is_due:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._file.flush()
        else:
            self._is_due = True
            loop.call_later(FLUSH_SECONDS, self._flush)

    def warning(self, line: bytes) -> None:
        """Write a line, and all before it."""
        self._file.write(line + b"\n")
        self._file.flush()

    debug = info
    msg = warn = error = critical = exception = fatal = warning

    def _flush(self) -> None:
        self._is_due = False
        with suppress(ValueError):
            self._file.flush()
