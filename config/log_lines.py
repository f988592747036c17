"""Log lines on their way out."""

import asyncio
from threading import Lock
from typing import Protocol

FLUSH_SECONDS = 0.05


class Destination(Protocol):
    """Where lines go, as the system has it: without a buffer."""

    def write(self, data: bytes, /) -> int | None:
        """How many bytes it took; none where it would have to wait."""
        ...


class Lines:
    """Writes what tells of trouble at once, and the rest soon. A logger as structlog takes it.

    There is a line for each request, and a call to the system for each costs a short one a tenth of its time
    and, while a store's thread is at work, the interpreter's lock. What a process that is killed takes with
    it is the good news of its last moments.

    Lines that cannot be written, to a full disk or a pipe that nobody reads, are ``lost``, and whoever logs
    goes on: he has work to do that does not hang on it. They are counted.
    """

    def __init__(self, file: Destination) -> None:
        self._file = file
        self.lost = 0
        self._waiting: list[bytes] = []
        self._lock = Lock()
        self._is_due = False

    def __call__(self, *_: object) -> "Lines":
        """As the factory of loggers: there is one."""
        return self

    def info(self, line: bytes) -> None:
        """Write a line that can wait for others."""
        self._add(line)
        if self._is_due:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            self._is_due = True
            loop.call_later(FLUSH_SECONDS, self._flush_in_time)

    def warning(self, line: bytes) -> None:
        """Write a line, and all before it."""
        self._add(line)
        self.flush()

    debug = info
    msg = warn = error = critical = exception = fatal = warning

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            lines, self._waiting = self._waiting, []
            left = self._left_of(b"".join(lines))
            while left > 0:
                left -= len(lines.pop())
                self.lost += 1

    def _left_of(self, text: bytes) -> int:
        """Write as much as goes; how many bytes did not."""
        try:
            while text:
                taken = self._file.write(text)
                if not taken:
                    break
                text = text[taken:]
        except (OSError, ValueError):
            pass
        return len(text)

    def _add(self, line: bytes) -> None:
        with self._lock:
            self._waiting.append(line + b"\n")

    def _flush_in_time(self) -> None:
        self._is_due = False
        self.flush()
