"""The cheap client against a server that answers in pieces, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.load import send

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def server(status: str = "200 OK") -> AsyncIterator[int]:
    """Answers each request with its path, in two pieces; closes the connection on ``/close``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split()[1]
            if path == b"/close":
                break
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(path)}\r\n".encode())
            await asyncio.sleep(0.001)
            writer.write(b"\r\n" + path)
        writer.close()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()

    listening = await asyncio.start_server(served, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def requests(*paths: str) -> list[bytes]:
    return [f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths]


async def test_each_request_is_sent_once_and_answers_are_in_the_order_of_the_requests() -> None:
    paths = [f"/{number}" for number in range(50)]
    async with server() as port:
        answers = await send(port, requests(*paths), connections=4)

    assert [body.decode() for body in answers.bodies] == paths
    assert answers.statuses == [200] * 50
    assert answers.a_second > 0
    assert answers.client_share >= 0


async def test_a_refusal_is_told_and_makes_no_figure() -> None:
    async with server("409 Conflict") as port:
        answers = await send(port, requests("/1"), connections=1)

    with pytest.raises(RuntimeError, match="answer 0 was 409"):
        answers.must_all_be(200)


async def test_a_connection_that_is_closed_is_an_error_and_no_endless_wait() -> None:
    async with server() as port:
        with pytest.raises(ConnectionError):
            await send(port, requests("/close"), connections=1)
