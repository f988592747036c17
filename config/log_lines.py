"""Log lines on their way out."""

import asyncio
from collections import deque
from itertools import accumulate, islice, takewhile
from threading import Lock

from config.log_destination import Destination

FLUSH_SECONDS = 0.05

MOST_WAITING_BYTES = 1024 * 1024
"""Of lines for which whoever reads them is too slow; what comes on top of these is lost."""

_WRITE_BYTES = 64 * 1024
"""That a pipe has room for: more at a time is only copied."""


class Lines:
    """Writes what tells of trouble at once, and the rest soon. A logger as structlog takes it.

    There is a line for each request, and a call to the system for each costs a short one a tenth of its time
    and, while a store's thread is at work, the interpreter's lock. What a process that is killed takes with
    it is the good news of its last moments.

    Whoever logs goes on, whatever becomes of the lines: he has work to do that does not hang on them. Lines
    that a pipe has no room for wait until it has; those that cannot wait or be written, to a full disk or a
    pipe that nobody reads, are ``lost`` and counted.
    """

    def __init__(self, file: Destination) -> None:
        self._file = file
        self.lost = 0
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._lock = Lock()
        self._is_due = False

    def __call__(self, *_: object) -> "Lines":
        """As the factory of loggers: there is one."""
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
        """What is written. Of a line that went out in part the rest stays, so that no other follows in it."""
        self._bytes -= taken
        while taken > 0:
            line = self._waiting.popleft()
            if taken < len(line):
                self._waiting.appendleft(line[taken:])
            taken -= len(line)

    def _lose(self, count: int) -> None:
        """The newest: those before them tell what began it."""
        for _ in range(count):
            self._bytes -= len(self._waiting.pop())
        self.lost += count

    def _add(self, line: bytes) -> None:
        with self._lock:
            self._waiting.append(line + b"\n")
            self._bytes += len(line) + 1

    def _flush_soon(self) -> bool:
        """Whether there is a loop to do it."""
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
