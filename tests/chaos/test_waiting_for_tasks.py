"""Workers that wait: they take no place from others, no thread, and let go when one side ends."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from tests.chaos.conftest import Launch
from tests.harness import TENANT, ServiceProcess, eventually
from tests.plain_http import NO_TLS
from tests.task_definitions import QUEUE

pytestmark = pytest.mark.anyio

CLAIM = {"queue": QUEUE, "workerId": "w", "waitSeconds": 30}
PLACES = 4


@pytest.fixture
def service(processes: Launch) -> ServiceProcess:
    """A service that answers few requests at a time."""
    return processes(module="tests.task_definitions", MAX_REQUESTS=str(PLACES)).start()


@asynccontextmanager
async def client_of(service: ServiceProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A client with as many connections as it takes."""
    async with httpx.AsyncClient(
        verify=NO_TLS,
        base_url=service.url,
        headers={"X-Tenant-ID": TENANT},
        timeout=30,
        limits=httpx.Limits(max_connections=None),
    ) as client:
        yield client


async def start(client: httpx.AsyncClient) -> None:
    body = {"definition": "one-task", "opportunityId": "o", "input": {"number": 1}}
    answer = await client.post("/api/v1/workflows", json=body)
    assert answer.status_code == 202, answer.text


def threads_of(service: ServiceProcess) -> int:
    """How many threads the process has."""
    return len(list(Path(f"/proc/{service.pid}/task").iterdir()))


async def test_who_waits_takes_no_place_from_others_and_not_everybody_may_wait(
    service: ServiceProcess,
) -> None:
    answers: list[httpx.Response] = []
    async with client_of(service) as client, anyio.create_task_group() as tasks:

        async def wait() -> None:
            while (answer := await client.post("/api/v1/tasks/claim", json=CLAIM)).status_code == 503:
                await anyio.sleep(0.1)
            answers.append(answer)

        async def one_more_is_sent_away() -> bool:
            one_more = await client.post("/api/v1/tasks/claim", json=CLAIM | {"waitSeconds": 1})
            if one_more.status_code == 200:
                return False
            assert (one_more.status_code, one_more.json()["error"]["code"]) == (503, "OVERLOADED")
            assert one_more.headers["retry-after"]
            return True

        await client.get("/api/v1/tasks")
        threads = threads_of(service)
        for _ in range(2 * PLACES):
            tasks.start_soon(wait)
            await anyio.sleep(0.02)
        await eventually(one_more_is_sent_away)
        assert answers == []
        assert threads_of(service) <= threads + 4
        for _ in range(20):
            assert (await client.get("/api/v1/tasks")).status_code == 200
        for _ in range(2 * PLACES):
            await start(client)
    assert {answer.status_code for answer in answers} == {200}
    claimed = [task["taskId"] for answer in answers for task in answer.json()["tasks"]]
    assert len(claimed) == len(set(claimed)) == 2 * PLACES


async def test_a_stop_ends_every_wait_at_once(service: ServiceProcess) -> None:
    answers: list[httpx.Response] = []
    answered_at: list[float] = []
    async with client_of(service) as client:

        async def wait() -> None:
            answers.append(await client.post("/api/v1/tasks/claim", json=CLAIM))
            answered_at.append(time.monotonic())

        async with anyio.create_task_group() as tasks:
            for _ in range(2 * PLACES):
                tasks.start_soon(wait)
                await anyio.sleep(0.02)
            await anyio.sleep(0.3)
            assert answers == []
            began = time.monotonic()
            code = await anyio.to_thread.run_sync(service.terminate)
        assert code == 0
        assert max(answered_at) - began < 1.5
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"tasks": []})] * (
        2 * PLACES
    )


async def test_nobody_who_has_hung_up_is_given_a_task(service: ServiceProcess) -> None:
    async with client_of(service) as gone:
        with anyio.move_on_after(0.5):
            await gone.post("/api/v1/tasks/claim", json=CLAIM)
    async with client_of(service) as client:
        await anyio.sleep(0.1)
        await start(client)

        async def offered() -> bool:
            page = (await client.get("/api/v1/tasks", params={"queue": QUEUE})).json()
            return bool(page["tasks"])

        await eventually(offered)
        await anyio.sleep(0.3)
        (task,) = (await client.get("/api/v1/tasks", params={"queue": QUEUE})).json()["tasks"]
        assert task["status"] == "offered"
        (claimed,) = (await client.post("/api/v1/tasks/claim", json=CLAIM)).json()["tasks"]
        assert claimed["claims"] == 1
