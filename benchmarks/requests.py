"""An HTTP client for requests to a service, with a limited number at a time."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from benchmarks.service import ASKER, TENANT, USER


@dataclass(frozen=True)
class Call:
    """One request below ``/api/v1``."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    tenant: str = TENANT
    user: str = USER


@dataclass(frozen=True)
class Answer:
    """A response, and the seconds until it came."""

    seconds: float
    json: dict[str, Any]


def client(url: str, connections: int) -> aiohttp.ClientSession:
    """Return a session with a number of connections to ``/api/v1``."""
    return aiohttp.ClientSession(f"{url}/api/v1/", connector=aiohttp.TCPConnector(limit=connections))


async def ask(session: aiohttp.ClientSession, call: Call) -> Answer:
    """Send one request.

    Raises:
        RuntimeError: the response is an error.
    """
    began = time.perf_counter()
    headers = {"X-Tenant-ID": call.tenant, "X-User-ID": call.user}
    async with session.request(call.method, call.path, json=call.body, headers=headers) as answer:
        body = await answer.read()
        seconds = time.perf_counter() - began
        if not answer.ok:
            raise RuntimeError(f"{call.method} {call.path} was answered {answer.status}: {body.decode()}")
        return Answer(seconds, await answer.json())


def ask_all(url: str, calls: Sequence[Call], connections: int) -> list[Answer]:
    """Send all requests, ``connections`` at a time. Return the responses in the order of the calls."""
    return asyncio.run(_ask_all(url, calls, connections))


async def _ask_all(url: str, calls: Sequence[Call], connections: int) -> list[Answer]:
    answers: dict[int, Answer] = {}
    left = iter(enumerate(calls))

    async with client(url, connections) as session, asyncio.TaskGroup() as tasks:

        async def work() -> None:
            for number, call in left:
                answers[number] = await ask(session, call)

        for _ in range(connections):
            tasks.create_task(work())
    return [answers[number] for number in range(len(calls))]


def creating(count: int, tenant: str = TENANT) -> Iterable[Call]:
    """Yield requests that create approvals."""
    for number in range(count):
        yield Call(
            "POST",
            "hitl/approvals",
            {"opportunityId": f"opp-{number}", "riskScore": 0.87, "amount": 250_000, "ownerId": ASKER},
            tenant,
            ASKER,
        )


def approving(ids: Iterable[str], tenant: str = TENANT) -> Iterable[Call]:
    """Return requests that approve approvals."""
    decision = {"decidedBy": USER, "comment": "strategic account"}
    return (Call("POST", f"hitl/approvals/{each}/approve", decision, tenant) for each in ids)
