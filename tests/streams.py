"""A client that reads the stream of a workflow's changes."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import httpx

from tests.harness import TENANT
from tests.plain_http import NO_TLS

WORKFLOWS = "/api/v1/workflows"


class Sent(NamedTuple):
    """One event of a stream."""

    id: int | None
    name: str
    data: dict[str, Any]


async def sent(answer: httpx.Response) -> AsyncIterator[Sent]:
    """Yield the events of a stream as they arrive."""
    id, name = None, "message"
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        match field:
            case "id":
                id = int(value)
            case "event":
                name = value
            case "data":
                yield Sent(id, name, json.loads(value))
                id, name = None, "message"


@asynccontextmanager
async def watching(
    url: str, workflow_id: str, after: int | str | None = None, *, tenant: str = TENANT
) -> AsyncIterator[httpx.Response]:
    """Yield the response to a request for the stream, while it is open."""
    headers = {"X-Tenant-ID": tenant}
    if after is not None:
        headers["Last-Event-ID"] = str(after)
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=30, verify=NO_TLS) as client,
        client.stream("GET", f"{WORKFLOWS}/{workflow_id}/stream") as answer,
    ):
        yield answer


async def taken(
    url: str, workflow_id: str, most: int = 1_000_000, after: int | None = None, *, seconds: float = 20
) -> list[Sent]:
    """Return up to ``most`` events of a stream, or all until it ends."""
    found: list[Sent] = []
    with anyio.fail_after(seconds):
        async with watching(url, workflow_id, after) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/event-stream"
            async for each in sent(answer):
                found.append(each)
                if len(found) == most:
                    break
    return found
