"""Where log lines go: standard error, in a way in which no write waits for whoever reads it."""

import os
import socket
import stat
from contextlib import suppress
from typing import Protocol, TextIO


class Destination(Protocol):
    """Where lines go: the system's file, without a buffer."""

    def write(self, data: bytes, /) -> int | None:
        """Return how many bytes were written, or None if it would have to wait."""
        ...


def destination_of(stream: TextIO) -> Destination:
    """Return a stream's own file, or if that can make a writer wait, one like it that does not.

    A pipe and a terminal are opened again: whether a write waits is a property of the open file, and other
    processes have this one too.
    """
    raw: Destination = getattr(stream.buffer, "raw", stream.buffer)
    with suppress(OSError, ValueError):
        mode = os.fstat(stream.fileno()).st_mode
        if stat.S_ISFIFO(mode) or stream.isatty():
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            return os.fdopen(os.open(f"/proc/self/fd/{stream.fileno()}", flags), "wb", buffering=0)
        if stat.S_ISSOCK(mode):
            return _Socket(socket.socket(fileno=os.dup(stream.fileno())))
    return raw


class _Socket:
    """A socket, as systemd's journal gives one."""

    def __init__(self, connected: socket.socket) -> None:
        self._connected = connected

    def write(self, data: bytes, /) -> int | None:
        try:
            return self._connected.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
