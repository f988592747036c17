"""Writes log lines."""

import asyncio
from collections import deque
from itertools import accumulate, islice, takewhile
from threading import Lock

from config.log_destination import Destination

FLUSH_SECONDS = 0.05

MOST_WAITING_BYTES = 1024 * 1024
"""The most bytes of lines that wait for a slow reader. Further lines are lost."""

_WRITE_BYTES = 64 * 1024
"""A pipe has room for so much. A larger write would only be copied."""


class Lines:
    """Writes lines about trouble at once, and the others soon. It is a logger for structlog.

    Each request has a line. One system call per line costs a short request a tenth of its time and, while a
    store's thread is at work, the interpreter's lock. A process that is killed loses only the good news of
    its last moments.

    Whoever logs continues, whatever becomes of the lines, because their work does not depend on them. Lines
    for which a pipe has no room wait until it has. Lines that cannot wait or be written, because a disk is
    full or nobody reads the pipe, are ``lost`` and counted.
    """

    def __init__(self, file: Destination) -> None:
        self._file = file
        self.lost = 0
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._lock = Lock()
        self._is_due = False

    def __call__(self, *_: object) -> "Lines":
        """Return itself, as the factory of loggers: there is one."""
        return self

    def info(self, line: bytes) -> None:
        """Write a line that can wait for others."""
        self._add(line)
        if not self._is_due and not self._flush_soon():
            self.flush()

    def warning(self, line: bytes) -> None:
        """Write a line, and all before it."""
        self._add(line)
        self.flush()
        if self._waiting and not self._is_due:
            self._flush_soon()

    debug = info
    msg = warn = error = critical = exception = fatal = warning

    def flush(self) -> None:
        """Write what waits, as far as there is room for it."""
        with self._lock:
            try:
                while self._waiting and (taken := self._file.write(self._next())):
                    self._forget(taken)
            except (OSError, ValueError):
                self._lose(len(self._waiting))
            else:
                if self._bytes > MOST_WAITING_BYTES:
                    self._lose(1)

    def _next(self) -> bytes:
        sizes = accumulate(map(len, self._waiting))
        count = 1 + sum(1 for _ in takewhile(lambda size: size < _WRITE_BYTES, sizes))
        return b"".join(islice(self._waiting, count))

    def _forget(self, taken: int) -> None:
        """Forget what was written. The rest of a line that was written in part stays, so that no other line
        follows within it."""
        self._bytes -= taken
        while taken > 0:
            line = self._waiting.popleft()
            if taken < len(line):
                self._waiting.appendleft(line[taken:])
            taken -= len(line)

    def _lose(self, count: int) -> None:
        """Drop the newest lines, because those before them show the beginning of the trouble."""
        for _ in range(count):
            self._bytes -= len(self._waiting.pop())
        self.lost += count

    def _add(self, line: bytes) -> None:
        with self._lock:
            self._waiting.append(line + b"\n")
            self._bytes += len(line) + 1

    def _flush_soon(self) -> bool:
        """Return whether there is an event loop to do it."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._is_due = True
        loop.call_later(FLUSH_SECONDS, self._flush_in_time)
        return True

    def _flush_in_time(self) -> None:
        self._is_due = False
        self.flush()
        if self._waiting:
            self._flush_soon()
