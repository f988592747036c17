"""Several instances on PostgreSQL, Cosmos DB and RabbitMQ do each thing once, whoever dies or pauses."""

import math
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest

from tests.chaos.conftest import LaunchOn
from tests.chaos.decisions import (
    Answered,
    all_published,
    ask,
    assert_told_once_in_order,
    assert_told_truly,
    decide,
    decide_a_bit_of_everything,
    get,
    in_thread,
    until_ready,
)
from tests.chaos.instances import (
    PARTS,
    TAKEN_OVER_WITHIN_SECONDS,
    leader_of,
    parts_of,
    until_all_parts_are_done,
)
from tests.chaos.proxy import proxy
from tests.harness import ServiceProcess, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq, pytest.mark.postgres, pytest.mark.cosmos]


async def started(*services: ServiceProcess) -> None:
    """Start them together, as a deployment does."""
    for service in services:
        service.launch()
    for service in services:
        await in_thread(service.until_it_serves)


async def seen_everywhere(services: list[ServiceProcess], answered: Answered) -> None:
    """Wait until every instance shows each decision as it was answered."""
    for service in services:
        for approval_id, approval in answered.approvals.items():

            async def shown(
                service: ServiceProcess = service, id: str = approval_id, expected: Any = approval
            ) -> bool:
                return bool(await get(service, f"/hitl/approvals/{id}") == expected)

            await eventually(shown)


Division = Callable[[Sequence[ServiceProcess]], Awaitable[None]]
"""Sees who does what, of instances of which the first has been there first."""


async def all_once(services: Sequence[ServiceProcess]) -> None:
    held = [await parts_of(service) for service in services]
    assert set().union(*held) == PARTS
    assert sum(map(len, held)) == len(PARTS)


async def all_by_the_first(services: Sequence[ServiceProcess]) -> None:
    assert await parts_of(services[0]) == PARTS


async def test_three_instances_serve_side_by_side_and_say_everything_once(
    launch: LaunchOn, crm: Neighbour
) -> None:
    await side_by_side(launch, crm, all_once)


async def side_by_side(launch: LaunchOn, crm: Neighbour, divided: Division) -> None:
    services = [launch() for _ in range(3)]
    await started(*services)
    await divided(services)
    answered = Answered()
    for service in services:
        await decide_a_bit_of_everything(service, answered)
    await all_published(crm, answered)
    await seen_everywhere(services, answered)
    assert_told_once_in_order(crm, answered)


async def test_what_a_killed_instance_did_another_does_within_ten_seconds_and_nothing_is_lost(
    launch: LaunchOn, crm: Neighbour
) -> None:
    first, *_ = await killed_and_back(launch, crm, all_by_the_first)
    assert await parts_of(first) == set()


async def killed_and_back(launch: LaunchOn, crm: Neighbour, divided: Division) -> list[ServiceProcess]:
    first, *others = services = [launch() for _ in range(3)]
    await in_thread(first.start)
    await started(*others)
    await divided(services)
    answered = Answered()
    killed_at = math.inf

    async def kill() -> None:
        nonlocal killed_at
        await anyio.sleep(0.7)
        await in_thread(first.kill)
        killed_at = time.monotonic()

    async with anyio.create_task_group() as group:
        group.start_soon(kill)
        while time.monotonic() < killed_at + 2:
            await decide_a_bit_of_everything(others[0], answered, count=1)
    await until_all_parts_are_done(others, TAKEN_OVER_WITHIN_SECONDS)
    assert time.monotonic() - killed_at < TAKEN_OVER_WITHIN_SECONDS
    await decide_a_bit_of_everything(others[1], answered, count=2)
    await all_published(crm, answered)
    await seen_everywhere(others, answered)
    assert_told_truly(crm, answered)
    await in_thread(first.start)
    await until_ready(first)
    return services


async def test_an_instance_that_was_paused_writes_nothing_once_another_has_taken_over(
    launch: LaunchOn, crm: Neighbour, postgres_store_url: str, tmp_path: Path
) -> None:
    paused, other = launch(), launch()
    await in_thread(paused.start)
    await in_thread(other.start)
    assert await parts_of(paused) == PARTS
    answered = Answered()
    async with anyio.create_task_group() as group:
        group.start_soon(decide_a_bit_of_everything, other, answered)
        await anyio.sleep(0.1)
        paused.send_signal(signal.SIGSTOP)
    await until_all_parts_are_done([other], TAKEN_OVER_WITHIN_SECONDS + 2)
    await decide_a_bit_of_everything(other, answered)
    await all_published(crm, answered)
    before = await settled(crm, postgres_store_url)
    paused.send_signal(signal.SIGCONT)
    await until_ready(paused)
    await anyio.sleep(2)
    assert await settled(crm, postgres_store_url) == before

    async def it_does_nothing() -> bool:
        return await parts_of(paused) == set()

    await eventually(it_does_nothing)
    assert await parts_of(other) == PARTS
    assert_told_truly(crm, answered)
    assert "lease_lost" in paused.log
    documents = [await get(paused, f"/hitl/approvals/{id}") for id in answered.approvals]
    assert documents == list(answered.approvals.values())


async def settled(crm: Neighbour, url: str) -> tuple[int, list[tuple[str, str, str]]]:
    """How many messages went out, each by its id (one may come again), and the saved positions."""

    def positions() -> list[tuple[str, str, str]]:
        with psycopg.connect(url) as connection:
            rows = connection.execute(
                "SELECT follower, partition, position FROM follower_positions ORDER BY 1, 2"
            ).fetchall()
        return [(str(row[0]), str(row[1]), str(row[2])) for row in rows]

    await anyio.sleep(3)
    return len({each.message_id for each in crm.seen}), await in_thread(positions)


async def test_an_instance_that_is_stopped_hands_over_at_once(launch: LaunchOn) -> None:
    first, second = launch(), launch()
    await in_thread(first.start)
    await in_thread(second.start)
    assert await parts_of(first) == PARTS
    began = time.monotonic()
    assert await in_thread(first.terminate) == 0
    ended = time.monotonic()
    await until_all_parts_are_done([second], 5)
    assert time.monotonic() - ended < 3
    assert ended - began < 8


async def test_roles_can_be_split_over_processes(launch: LaunchOn, crm: Neighbour) -> None:
    api = launch(SERVICE_ROLES="api")
    worker = launch(SERVICE_ROLES="consumer,projector,publisher,scheduler")
    await started(api, worker)
    assert await parts_of(api) == set()
    assert await parts_of(worker) == PARTS
    answered = Answered()
    await decide_a_bit_of_everything(api, answered, count=3)
    await all_published(crm, answered)
    await seen_everywhere([api], answered)
    assert_told_once_in_order(crm, answered)
    await crm.send(
        "hitl.approval.requested", {"opportunityId": "opp-by-event", "riskScore": 0.5, "amount": 7}
    )

    async def asked() -> bool:
        return bool((await get(api, "/hitl/approvals", opportunityId="opp-by-event"))["total"] == 1)

    await eventually(asked)
    async with worker.async_client() as client:
        assert (await client.get("/api/v1/hitl/approvals")).status_code == 404
        assert (await client.get("/ready")).status_code == 200
    async with api.async_client() as client:
        ready = (await client.get("/ready")).json()
    assert ready["checks"]["followers"] == []
    assert ready["checks"]["scheduler"]["status"] == ready["checks"]["broker"]["status"] == "off"
    assert "roles" in api.log


async def test_fifty_decisions_over_three_instances_have_one_outcome(
    launch: LaunchOn, crm: Neighbour
) -> None:
    services = [launch() for _ in range(3)]
    await started(*services)
    async with services[0].async_client() as client:
        id = await ask(client)
    statuses: Counter[int] = Counter()
    answered = Answered()

    async def one(number: int) -> None:
        async with services[number % 3].async_client() as client:
            answer = await decide(client, id, answered, "approve" if number % 2 else "reject")
            statuses[answer.status_code] += 1

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(one, number)
    assert set(statuses) == {200, 409}
    await all_published(crm, answered)
    assert_told_once_in_order(crm, answered)


async def test_an_instance_that_alone_is_cut_off_from_the_broker_leaves_the_outbox_to_another(
    launch: LaunchOn, crm: Neighbour, rabbitmq_url: str
) -> None:
    with proxy(rabbitmq_url) as between:
        cut_off, healthy = launch(RABBITMQ_URL=between.url()), launch()
        await in_thread(cut_off.start)
        await in_thread(healthy.start)
        assert await leader_of("outbox", [cut_off, healthy]) is cut_off
        between.cut()
        answered = Answered()
        await decide_a_bit_of_everything(healthy, answered)
        await all_published(crm, answered, seconds=45)
        assert await leader_of("outbox", [cut_off, healthy]) is healthy
    assert "stands_back" in cut_off.log
    assert_told_truly(crm, answered)


async def test_leaders_are_found_part_by_part(launch: LaunchOn) -> None:
    first, second = launch(), launch(SERVICE_ROLES="api,projector")
    await in_thread(second.start)
    await in_thread(first.start)
    assert await leader_of("hitl_approvals", [first, second]) is second
    assert await leader_of("outbox", [first, second]) is first
