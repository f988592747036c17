"""A faulty HTTP service, which is slow, fails, hangs or lies: ``python -m tests.lying_service PORT``.

The first segment of the path determines its behaviour. ``/_seen`` returns the requests so far, oldest first.
"""

import asyncio
import contextlib
import gzip
import json
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.plain_http import NO_TLS
from tests.services import is_listening, lasting_port

HUGE = 50 * 1024 * 1024


class Asked:
    """A request, which can be answered."""

    def __init__(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)
        }
        self.path, _, self.query = self.target.partition("?")
        self.parts = self.path.strip("/").split("/")
        self.body = body.decode()
        self._writer = writer
        self.at = time.time()

    def told(self) -> dict[str, Any]:
        """Return the request as JSON."""
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.headers,
            "body": self.body,
            "at": self.at,
        }

    async def send(self, raw: bytes) -> None:
        """Send raw bytes."""
        self._writer.write(raw)
        await self._writer.drain()

    async def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a correct response."""
        given = {"Content-Length": str(len(body)), "Connection": "close", **headers}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
        await self.send(f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode() + body)

    def reset(self) -> None:
        """Reset the connection."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.close()


class LyingService:
    """The server. Its methods are the behaviours that a path can name."""

    def __init__(self) -> None:
        self.seen: list[Asked] = []
        self.tries: Counter[str] = Counter()
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection with one request."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            asked = Asked(head, await reader.readexactly(int(length or 0)), writer)
            if asked.parts[0] == "_seen":
                await asked.answer(200, json.dumps([each.told() for each in self.seen]).encode())
            elif asked.parts[0] == "_most":
                await asked.answer(200, json.dumps(self.most).encode())
            else:
                await self._do(asked)
        with contextlib.suppress(ConnectionError):
            writer.close()

    async def _do(self, asked: Asked) -> None:
        self.seen.append(asked)
        tenant = asked.headers.get("x-tenant-id", "")
        self.under_way[tenant] += 1
        self.most[tenant] = max(self.most[tenant], self.under_way[tenant])
        try:
            act: Callable[[Asked], Awaitable[None]] = getattr(self, asked.parts[0].replace("-", "_"))
            await act(asked)
        finally:
            self.under_way[tenant] -= 1

    async def ok(self, asked: Asked) -> None:
        await asked.answer(200, json.dumps(asked.told()).encode())

    async def slow(self, asked: Asked) -> None:
        await asyncio.sleep(float(asked.parts[1]))
        await self.ok(asked)

    async def status(self, asked: Asked) -> None:
        body = b'{"error": {"code": "NO", "message": "it does not like that"}}'
        await asked.answer(int(asked.parts[1]), body, Retry_After="7")

    async def flaky(self, asked: Asked) -> None:
        """Respond with 503 for the first requests with an idempotency key."""
        key = asked.headers["idempotency-key"]
        self.tries[key] += 1
        if self.tries[key] <= int(asked.parts[1]):
            await asked.answer(503, b"not now")
        else:
            await self.ok(asked)

    async def hang(self, asked: Asked) -> None:
        await asyncio.sleep(3600)

    async def headers_only(self, asked: Asked) -> None:
        await asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        await asyncio.sleep(3600)

    async def drip(self, asked: Asked) -> None:
        await asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            await asked.send(b" ")
            await asyncio.sleep(0.1)

    async def short(self, asked: Asked) -> None:
        """Send fewer bytes than announced."""
        await asked.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a": 1}')

    async def more(self, asked: Asked) -> None:
        """Send more bytes than announced, which look like the response to the next request."""
        forged = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"forged": true}'
        await asked.send(b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}' + forged)
        await asyncio.sleep(0.5)

    async def parroting_garbage(self, asked: Asked) -> None:
        await asked.send(f"you said {asked.headers.get('authorization')}\r\n\r\n".encode())

    async def garbage(self, asked: Asked) -> None:
        await asked.send(b"SSH-2.0-OpenSSH_9.6\r\n")

    async def reset(self, asked: Asked) -> None:
        asked.reset()

    async def html(self, asked: Asked) -> None:
        await asked.answer(200, b"<html><body>Please log in</body></html>", Content_Type="text/html")

    async def invalid(self, asked: Asked) -> None:
        await asked.answer(200, b'{"a": 1')

    async def deep(self, asked: Asked) -> None:
        depth = int(asked.parts[1])
        await asked.answer(200, b"[" * depth + b"]" * depth)

    async def empty(self, asked: Asked) -> None:
        await asked.answer(204)

    async def scalar(self, asked: Asked) -> None:
        await asked.answer(200, b"[1, null]")

    async def huge(self, asked: Asked) -> None:
        await asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE)
        for _ in range(HUGE // 65536):
            await asked.send(b" " * 65536)

    async def endless(self, asked: Asked) -> None:
        await asked.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await asked.send(b"10000\r\n" + b" " * 65536 + b"\r\n")

    async def headers_without_end(self, asked: Asked) -> None:
        await asked.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await asked.send(b"X-More: " + b"x" * 8000 + b"\r\n")

    async def bomb(self, asked: Asked) -> None:
        await asked.answer(200, gzip.compress(b" " * HUGE), Content_Encoding="gzip")

    async def elsewhere(self, asked: Asked) -> None:
        await asked.answer(302, Location=f"http://127.0.0.1:{asked.parts[1]}/ok")

    async def nowhere(self, asked: Asked) -> None:
        await asked.answer(302)

    async def same_host(self, asked: Asked) -> None:
        await asked.answer(int(asked.parts[1]), Location="/ok?moved=1")

    async def with_user(self, asked: Asked) -> None:
        await asked.answer(302, Location=f"http://me:secret@{asked.headers['host']}/ok")

    async def loop(self, asked: Asked) -> None:
        await asked.answer(302, Location="/loop")

    async def accepted(self, asked: Asked) -> None:
        await asked.answer(202, b'{"queued": true}')

    async def cookie(self, asked: Asked) -> None:
        await asked.answer(200, b"{}", Set_Cookie="session=of-another; Path=/")

    async def parrot(self, asked: Asked) -> None:
        """Respond with an error that repeats the request's token."""
        body = f"bad token: {asked.headers.get('authorization')} " + "x" * 5000
        await asked.answer(401, body.encode())


class Neighbour:
    """The running service, for tests."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def seen(self, path: str = "/") -> list[dict[str, Any]]:
        """Return the requests whose path begins with ``path``."""
        asked: list[dict[str, Any]] = httpx.get(f"{self.url}/_seen", timeout=10, verify=NO_TLS).json()
        return [each for each in asked if each["path"].startswith(path)]

    def most_at_once(self) -> dict[str, int]:
        """Return the maximum number of concurrent requests of each tenant."""
        found: dict[str, int] = httpx.get(f"{self.url}/_most", timeout=10, verify=NO_TLS).json()
        return found


@contextmanager
def lying_service() -> Iterator[Neighbour]:
    """Yield a running service."""
    port = lasting_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.lying_service", str(port)])
    try:
        deadline = time.monotonic() + 15
        while not is_listening(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield Neighbour(port)
    finally:
        process.kill()
        process.wait()


async def _main(port: int) -> None:
    server = await asyncio.start_server(LyingService().serve, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
