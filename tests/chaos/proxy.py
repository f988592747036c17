"""A TCP proxy in front of a real server, to take the network away from under a connection.

It runs on threads of its own, so that a test that blocks does not hold it up.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from tests.services import free_port

_CHUNK = 65_536


class _Link:
    """One connection through the proxy: both its ends, and whether it has fallen silent."""

    def __init__(
        self, near: socket.socket, far: socket.socket, *, silent: bool, kept: Callable[[], bytes | None]
    ) -> None:
        self.silent = silent
        self._kept = kept
        self._keeps = False
        self._ends = (near, far)
        threading.Thread(target=self._pump, args=(near, far, self._note_question), daemon=True).start()
        threading.Thread(target=self._pump, args=(far, near, self._may_answer), daemon=True).start()

    def close(self) -> None:
        """Hang up on both sides."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _note_question(self, data: bytes) -> bool:
        phrase = self._kept()
        self._keeps = self._keeps or (phrase is not None and phrase in data)
        return True

    def _may_answer(self, data: bytes) -> bool:
        return not self._keeps

    def _pump(self, source: socket.socket, target: socket.socket, passes: Callable[[bytes], bool]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                if passes(data) and not self.silent:
                    target.sendall(data)
        if not self.silent:
            self.close()


_USUAL_PORTS = {"amqp": 5672, "postgresql": 5432}


class Proxy:
    """Stands in front of the server at ``url``, both on this machine. It begins closed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.port = free_port()
        self._url = parts
        self._target_port = parts.port or _USUAL_PORTS[parts.scheme]
        self._listener: socket.socket | None = None
        self._silent = False
        self._kept: bytes | None = None
        self._links: list[_Link] = []

    def url(self, query: str = "") -> str:
        """The server's URL, through the proxy."""
        user = self._url.netloc.rpartition("@")[0]
        return urlunsplit(self._url._replace(netloc=f"{user}@127.0.0.1:{self.port}", query=query))

    def open(self) -> None:
        """Let connections through. Those that have fallen silent stay silent, as after a lost NAT entry."""
        self._silent = False
        self._kept = None
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def lead_to(self, url: str) -> None:
        """Let new connections go to another server, as an address does that was moved."""
        parts = urlsplit(url)
        self._target_port = parts.port or _USUAL_PORTS[parts.scheme]

    def cut(self) -> None:
        """Hang up on everyone, and refuse new connections."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        links, self._links = self._links, []
        for link in links:
            link.close()

    def swallow(self) -> None:
        """Stay connected and pass nothing on, either way; new connections are taken and hear nothing."""
        self._silent = True
        for link in self._links:
            link.silent = True

    def keep_answers_to(self, phrase: bytes) -> None:
        """Pass on questions, and on a connection that has asked with this phrase keep the answers."""
        self._kept = phrase

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target_port))
                except OSError:
                    near.close()
                    continue
                self._links.append(_Link(near, far, silent=self._silent, kept=lambda: self._kept))


@contextmanager
def proxy(url: str) -> Iterator[Proxy]:
    """An open proxy, cut off in the end."""
    between = Proxy(url)
    between.open()
    try:
        yield between
    finally:
        between.cut()
