"""An HTTP client that uses little CPU, because it shares two cores with the service, the broker and the
stores.

Requests are prepared as bytes, and a response is parsed only as far as needed to find its end. This takes
about 10 µs per request on uvloop; a service takes hundreds. The client's share of a core is part of the
result.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import jwt
import msgspec

from benchmarks.service import ASKER, TENANT, USER

SECRET = "a-secret-of-at-least-thirty-two-bytes"
WITH_TOKENS = {"JWT_SECRET": SECRET}
"""The settings with which the service accepts :func:`token`."""

APPROVALS = "/api/v1/hitl/approvals"
CONNECTIONS = 16
_PATIENCE_SECONDS = 300.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def token(person: str = USER) -> str:
    """Return an access token of the platform (wire contract, section 3), valid for an hour."""
    now = datetime.now(UTC)
    claims = {"sub": person, "tenantId": TENANT, "type": "access", "email": "ada@example.com", "iss": "coder"}
    return jwt.encode({**claims, "iat": now, "exp": now + timedelta(hours=1)}, SECRET)


def headers(person: str = USER) -> dict[str, str]:
    """Return the headers of a request from the platform's gateway."""
    return {"Authorization": f"Bearer {token(person)}", "X-Tenant-ID": TENANT}


@dataclass
class Answers:
    """The responses in the order of the requests, and their times."""

    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    began: float = 0.0
    """``time.perf_counter()`` at the first request."""

    ended: float = 0.0
    """``time.perf_counter()`` at the last response."""

    client_cpu: float = 0.0

    @property
    def a_second(self) -> float:
        """Responses per second."""
        return len(self.statuses) / (self.ended - self.began)

    @property
    def client_share(self) -> float:
        """The client's share of a core. If it is near 1, the client was the limit."""
        return self.client_cpu / (self.ended - self.began)

    def must_all_be(self, status: int) -> None:
        """Check that all responses have a status.

        Raises:
            RuntimeError: one has another status. The message has the first such response.
        """
        for number, found in enumerate(self.statuses):
            if found != status:
                raise RuntimeError(f"answer {number} was {found}: {self.bodies[number][:300]!r}")


async def send(port: int, requests: Sequence[bytes], connections: int = CONNECTIONS) -> Answers:
    """Send each request once. Each connection is kept alive and waits for a response before the next
    request."""
    loop = asyncio.get_running_loop()
    answers = Answers([0] * len(requests), [b""] * len(requests))
    waiting = iter(enumerate(requests))
    opened = [
        (await loop.create_connection(lambda: _Connection(waiting, answers), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    answers.began, cpu = time.perf_counter(), time.process_time()
    for connection in opened:
        connection.ask()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await asyncio.gather(*(connection.done for connection in opened))
    answers.client_cpu = time.process_time() - cpu
    return answers


async def ask_for_approvals(port: int, count: int) -> list[str]:
    """Create approvals as a user who may not decide on them. Return their IDs."""
    head = _head("POST", APPROVALS, _lines(headers(ASKER)))
    bodies = [
        msgspec.json.encode({"opportunityId": f"opp-{number}", "riskScore": 0.87, "amount": 250_000})
        for number in range(count)
    ]
    answers = await send(port, [_request(head, body) for body in bodies])
    answers.must_all_be(201)
    return [str(msgspec.json.decode(body)["id"]) for body in answers.bodies]


async def approve(port: int, ids: Sequence[str]) -> Answers:
    """Approve each of the approvals."""
    body = msgspec.json.encode({"decidedBy": USER, "comment": "strategic account"})
    answers = await send(port, [_request(_head("POST", f"{APPROVALS}/{each}/approve"), body) for each in ids])
    answers.must_all_be(200)
    return answers


async def documents(port: int) -> int:
    """Return how many approvals the documents have."""
    answers = await send(port, [_head("GET", f"{APPROVALS}?limit=1") + b"\r\n"], connections=1)
    answers.must_all_be(200)
    return int(msgspec.json.decode(answers.bodies[0])["total"])


async def until_documents(port: int, count: int, every: float = 0.02) -> float:
    """Wait until the documents have ``count`` approvals. Return when that was."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while await documents(port) < count:
            await asyncio.sleep(every)
    return time.perf_counter()


def request_of(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the bytes of a request with a JSON body."""
    return _request(_head(method, path, _lines(headers)), body)


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


_HEADERS = _lines(headers())


def _head(method: str, path: str, headers: str = _HEADERS) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}".encode()


def _request(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class _Connection(asyncio.Protocol):
    def __init__(self, waiting: Iterator[tuple[int, bytes]], answers: Answers) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self._waiting = waiting
        self._answers = answers
        self._received = b""
        self._number = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self) -> None:
        """Send the next request, if there is one."""
        self._number, request = next(self._waiting, (-1, b""))
        if request:
            self._transport.write(request)
        else:
            self._transport.close()
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        length = _LENGTH.search(received, 0, end) if end >= 0 else None
        if length and len(received) >= end + 4 + int(length[1]):
            self._answers.statuses[self._number] = int(received[9:12])
            self._answers.bodies[self._number] = received[end + 4 :]
            self._answers.ended = time.perf_counter()
            self._received = b""
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the service closed the connection"))
