"""What is not answered within the time for a stop: the client is told, and the log tells no error of ours."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest
import uvicorn
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp, Receive, Scope, Send

from config.runtime import bind
from interfaces.rest.cut_off import CancelledQuietly
from interfaces.rest.http_protocol import BoundedHttpProtocol
from interfaces.rest.metrics import Metrics
from interfaces.rest.middleware import RequestMiddleware
from tests.harness import PATIENCE_SECONDS, TENANT, service_process

HALF = (
    f"POST /api/v1/workflows HTTP/1.1\r\nHost: localhost\r\nX-Tenant-ID: {TENANT}\r\n"
    'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"definition"'
)


def test_who_is_in_the_middle_of_its_body_is_told_to_try_again(tmp_path: Path) -> None:
    with service_process(tmp_path) as process:
        with socket.create_connection(("127.0.0.1", process.port), timeout=PATIENCE_SECONDS) as client:
            client.sendall(HALF.encode())
            with process.client() as another:
                assert another.get("/health").status_code == 200
            assert process.terminate() == 0
            answer = b""
            while more := client.recv(65_536):
                answer += more
        told = [json.loads(line) for line in process.log.splitlines()]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5" in head.lower()
    assert json.loads(body)["error"]["code"] == "STOPPING"
    assert "Traceback" not in process.log
    assert "exception" not in process.log
    (request,) = (each for each in told if each["event"] == "request" and each["method"] == "POST")
    assert request["status"] == 503


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are pytest's."""
        yield


@asynccontextmanager
async def stopped_meanwhile(app: ASGIApp) -> AsyncIterator[asyncio.StreamReader]:
    """Who has asked for something of an application that is stopped then, with no time to spare."""
    listener = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        app, http=BoundedHttpProtocol, lifespan="off", log_config=None, timeout_graceful_shutdown=0
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await writer.drain()
    while not server.server_state.tasks:
        await asyncio.sleep(0.01)
    server.should_exit = True
    with anyio.fail_after(PATIENCE_SECONDS):
        await serving
        yield reader
    writer.close()


@pytest.mark.anyio
async def test_an_answer_that_has_begun_is_cut_off_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()

    async def never_ending(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"to begin with", "more_body": True})
        await anyio.sleep_forever()

    caplog.set_level(logging.ERROR)
    async with stopped_meanwhile(CancelledQuietly(RequestMiddleware(never_ending, metrics))) as reader:
        with pytest.raises(asyncio.IncompleteReadError):
            await reader.readuntil(b"0\r\n\r\n")
    assert [each.getMessage() for each in caplog.records] == [
        "Cancel 1 running task(s), timeout graceful shutdown exceeded"
    ]
    (family,) = (
        each
        for each in text_string_to_metric_families(metrics.exposition().decode())
        if each.name == "http_requests"
    )
    assert {each.labels["status"] for each in family.samples} == {"200"}


@pytest.mark.anyio
async def test_whoever_cancels_a_request_in_this_process_has_it_end() -> None:
    begun = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await anyio.sleep_forever()

    async def nothing(*_: object) -> None:
        return None

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    request = asyncio.create_task(RequestMiddleware(waiting, Metrics())(scope, nothing, nothing))  # type: ignore
    await begun.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
