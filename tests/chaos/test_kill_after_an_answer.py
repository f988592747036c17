"""`kill -9` right after an answer: what was answered well is never lost, and its message arrives."""

import base64
import random
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from config.cosmos_beside import SHARES
from config.roles import PROJECTOR
from domain.share import shares
from tests.chaos.conftest import Launch
from tests.chaos.decisions import (
    Answered,
    all_published,
    ask,
    assert_repeats_are_the_same_message,
    assert_told_truly,
    decide,
    decided_ids,
    get,
    in_thread,
    marks,
    start_workflow,
    trigger_job,
    until_ready,
)
from tests.chaos.instances import parts_of
from tests.cosmos import Account, dropped_afterwards, fresh_database
from tests.harness import SYSTEM_TENANT, ServiceProcess, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

MASTER_KEY = base64.b64encode(bytes(32)).decode()

Request = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


async def requested_and_killed(service: ServiceProcess, requests: list[Request], after: int) -> None:
    """Send the requests side by side and kill the service at the ``after``-th good answer."""
    good = 0
    async with service.async_client() as client, anyio.create_task_group() as tasks:

        async def send(request: Request) -> None:
            nonlocal good
            try:
                answer = await request(client)
            except httpx.TransportError:
                return
            good += answer.is_success
            if good >= after and service.is_running:
                service.kill()

        for request in requests:
            tasks.start_soon(send, request)
    assert not service.is_running


async def killed_while_deciding(
    service: ServiceProcess,
    crm: Neighbour,
    rounds: int,
    seed: int,
    caught_up: Callable[[ServiceProcess], Awaitable[object]] = until_ready,
) -> None:
    """Several lives, each ended by kill -9 in the midst of decisions, and then a life to look back."""
    dice = random.Random(seed)
    answered, asked, undecided = Answered(), list[str](), list[str]()
    await in_thread(service.start)
    for _ in range(rounds):
        async with service.async_client() as client:
            ids = [await ask(client) for _ in range(16)]
        undecided += ids[12:]
        asked += ids[:12]
        requests: list[Request] = [partial(decide, approval_id=each, answered=answered) for each in ids[:12]]
        await requested_and_killed(service, requests, after=dice.choice((1, 1, dice.randint(2, 12))))
        await in_thread(service.start)

    await all_published(crm, answered)
    await caught_up(service)

    async def stored(ids: Iterable[str]) -> dict[str, Any]:
        return {each: await get(service, f"/hitl/approvals/{each}") for each in ids}

    async def as_answered() -> bool:
        return await stored(answered.approvals) == answered.approvals

    async def no_more_no_less() -> bool:
        documents = (await stored(asked + undecided)).values()
        return set(decided_ids(crm)) == {each["id"] for each in documents if each["status"] == "approved"}

    await eventually(as_answered)
    await eventually(no_more_no_less)
    assert {each["status"] for each in (await stored(undecided)).values()} == {"pending"}
    assert_told_truly(crm, answered)


async def test_an_approval_that_was_answered_200_outlives_a_kill(
    service: ServiceProcess, crm: Neighbour
) -> None:
    await killed_while_deciding(service, crm, rounds=3, seed=1)


@pytest.mark.postgres
async def test_an_approval_in_postgresql_that_was_answered_200_outlives_a_kill(
    processes: Launch, rabbitmq_url: str, postgres_store_url: str, crm: Neighbour
) -> None:
    service = processes(RABBITMQ_URL=rabbitmq_url, EVENT_STORE_URL=postgres_store_url)
    await killed_while_deciding(service, crm, rounds=2, seed=3)


@pytest.mark.cosmos
async def test_an_approval_in_cosmos_db_that_was_answered_200_outlives_a_kill(
    processes: Launch, rabbitmq_url: str, cosmos: Account, crm: Neighbour
) -> None:
    """Also where the partition is closed again and again meanwhile."""
    database = fresh_database()
    environ = cosmos.environ(database) | {"EVENT_STORE_URL": "cosmos://", "PRIVACY_MASTER_KEY": MASTER_KEY}
    async with dropped_afterwards(cosmos, database):
        service = processes(RABBITMQ_URL=rabbitmq_url, COSMOS_DB_LOG_SEGMENT_BYTES="10000", **environ)
        await killed_while_deciding(service, crm, rounds=2, seed=5, caught_up=until_it_has_taken_over)
        service.stop()


async def until_it_has_taken_over(service: ServiceProcess) -> None:
    """Until then it is ready beside somebody who is taken for alive."""
    projectors = {share.lease(PROJECTOR) for share in shares(SHARES)}

    async def all_held() -> bool:
        return projectors <= await parts_of(service)

    await eventually(all_held)
    await until_ready(service)


async def test_workflows_and_job_triggers_that_were_answered_202_outlive_a_kill(
    service: ServiceProcess, crm: Neighbour
) -> None:
    dice = random.Random(4)
    answered = Answered()
    await in_thread(service.start)
    for _ in range(3):
        requests: list[Request] = [lambda client: start_workflow(client, answered)] * 8
        requests += [lambda client: trigger_job(client, answered)] * 8
        dice.shuffle(requests)
        await requested_and_killed(service, requests, after=dice.randint(1, 6))
        await in_thread(service.start)

    await all_published(crm, answered)
    await until_ready(service)
    for workflow_id in answered.workflows:
        workflow = await get(service, f"/workflows/{workflow_id}")
        assert workflow["status"] == "running"
        assert {step["status"] for step in workflow["steps"]} == {"running"}
    runs = await get(service, "/jobs/outcome-sync/runs", SYSTEM_TENANT, limit=200)
    assert set(answered.triggers) <= {run["metadata"]["mark"] for run in runs["runs"]}
    assert set(marks(crm)) == {run["metadata"]["mark"] for run in runs["runs"]}
    assert_repeats_are_the_same_message(crm)
