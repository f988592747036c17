"""A small user management service: returns over HTTP who is in which group, and fails on demand."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import unquote


class Asked(NamedTuple):
    """A request. The path is not decoded."""

    path: str
    headers: Mapping[str, str]


class UserManagement:
    """Answers from ``groups``, by tenant and group.

    If they are set, ``status`` and ``body`` replace those of the response, or ``raw`` the whole response. It
    is sent after ``delay`` seconds, and not before ``gate`` is open.
    """

    def __init__(self, groups: dict[str, dict[str, list[str]]]) -> None:
        self.groups = groups
        self.asked: list[Asked] = []
        self.status = 200
        self.raw: bytes | None = None
        self.body: Any = None
        self.delay = 0.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.url = ""
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def paths(self) -> list[str]:
        """The paths of the requests, oldest first."""
        return [each.path for each in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection with one request."""
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            self._under_way.discard(task)
            writer.close()

    async def stop(self) -> None:
        """Stop the server."""
        under_way = list(self._under_way)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except asyncio.IncompleteReadError:
            return  # who asked did not wait
        path = head[0].split(" ")[1]
        pairs = (line.partition(": ") for line in head[1:] if line)
        asked = Asked(path, {name.lower(): value for name, _, value in pairs})
        self.asked.append(asked)
        await self.gate.wait()
        await asyncio.sleep(self.delay)
        writer.write(self._answer(asked) if self.raw is None else self.raw)
        with contextlib.suppress(ConnectionError):
            await writer.drain()

    def _answer(self, asked: Asked) -> bytes:
        status, told = self._found(asked) if self.status == 200 else (self.status, {})
        body = json.dumps(told if self.body is None else self.body).encode()
        head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return head.encode() + body

    def _found(self, asked: Asked) -> tuple[int, dict[str, list[str]]]:
        groups = self.groups.get(asked.headers["x-tenant-id"], {})
        _, _, _, among, name, _ = (unquote(part) for part in asked.path.split("/"))
        if among == "groups":
            return (200, {"members": groups[name]}) if name in groups else (404, {})
        of = [group for group, members in groups.items() if name in members]
        return (200, {"groups": of}) if of else (404, {})


@asynccontextmanager
async def user_management(groups: dict[str, dict[str, list[str]]]) -> AsyncIterator[UserManagement]:
    """Yield a running service on its own port."""
    service = UserManagement(groups)
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield service
    finally:
        server.close()
        await service.stop()
