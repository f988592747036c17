"""PostgreSQL goes and comes: nothing is decided without it, nothing waits in vain, nothing is parked."""

import time

import anyio
import httpx
import pytest

from infrastructure.postgres.schema import migrate
from tests.chaos.conftest import Launch
from tests.chaos.decisions import (
    Answered,
    all_published,
    ask,
    assert_told_once_in_order,
    decide,
    decide_a_bit_of_everything,
    get,
    in_thread,
    until,
    until_ready,
)
from tests.chaos.proxy import Proxy, proxy
from tests.harness import USER, ServiceProcess, eventually
from tests.neighbours import Names, Neighbour
from tests.services import free_port, postgres_node

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def answers_503(service: ServiceProcess, approval_id: str) -> None:
    """A command is answered with 503, a way out, and within reason."""
    async with service.async_client() as client:
        began = time.monotonic()
        answer = await client.post(
            f"/api/v1/hitl/approvals/{approval_id}/approve", json={"decidedBy": USER}, timeout=30
        )
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"]["code"] == "STORE_UNAVAILABLE"
    assert int(answer.headers["Retry-After"]) > 0
    assert time.monotonic() - began < 15


@pytest.mark.rabbitmq
async def test_an_event_store_that_is_lost_is_waited_for_and_nothing_is_parked(
    processes: Launch, rabbitmq_url: str, postgres_store_url: str, crm: Neighbour
) -> None:
    with proxy(postgres_store_url) as between:
        service = processes(RABBITMQ_URL=rabbitmq_url, EVENT_STORE_URL=between.url())
        await lost_and_waited_for(service, between, crm)


async def lost_and_waited_for(
    service: ServiceProcess, between: Proxy, crm: Neighbour, *, documents_stay: bool = True
) -> None:
    """The store goes away under a service, and comes back."""
    await in_thread(service.start)
    await until_ready(service)
    async with service.async_client() as client:
        approval_id = await ask(client)

    between.cut()
    for number in range(20):
        data = {"opportunityId": "from-the-crm", "riskScore": 0.9, "amount": number}
        await crm.send("hitl.approval.requested", data)
    await answers_503(service, approval_id)
    status, body = await until(
        service,
        lambda body: (
            body["checks"]["eventStore"]["status"] == "down"
            and any(each["status"] == "failing" for each in body["checks"]["followers"])
        ),
        seconds=30,
    )
    assert status == 503
    assert body["checks"]["broker"]["status"] == "up"
    failing = [each for each in body["checks"]["followers"] if each["status"] == "failing"]
    assert all(each["error"] for each in failing)
    assert await crm.queued(crm.names.dead_letter_queue) == 0
    if documents_stay:
        found = await get(service, "/hitl/approvals", opportunityId="from-the-crm")
        assert found["total"] == 0

    between.open()

    async def all_handled() -> bool:
        there = await get(service, "/hitl/approvals", opportunityId="from-the-crm")
        return bool(there["total"] == 20)

    await eventually(all_handled, seconds=45)
    await until_ready(service, seconds=45)
    assert await crm.queued(crm.names.dead_letter_queue) == 0
    answered = Answered()
    async with service.async_client() as client:
        assert (await decide(client, approval_id, answered)).status_code == 200
    await decide_a_bit_of_everything(service, answered, count=2)
    await all_published(crm, answered)
    assert_told_once_in_order(crm, answered)

    service.kill()
    await eventually(lambda: _is_empty(crm))


async def _is_empty(crm: Neighbour) -> bool:
    """Nothing was left unacknowledged: a dead consumer's messages would be back in the queue."""
    await anyio.sleep(0.3)
    return await crm.queued(crm.names.queue) == 0


async def test_an_event_store_that_stays_away_at_start_ends_it_with_one_clear_line(
    processes: Launch, postgres_url: str
) -> None:
    away = Proxy(postgres_url)
    service = processes(EVENT_STORE_URL=away.url(), STORE_STARTUP_TIMEOUT_SECONDS="3")
    began = time.monotonic()
    service.launch()
    code = await in_thread(lambda: service.wait(20))
    assert code not in (0, None)
    assert 3 <= time.monotonic() - began < 12
    lines = service.log.strip().splitlines()
    tries = [line for line in lines if "store_away" in line]
    assert len(tries) >= 2
    assert all("Connection refused" in line for line in tries)
    assert lines[:-1] == tries
    assert "the event store was unavailable for 3 s" in lines[-1]
    assert "Traceback" not in service.log


async def test_an_event_store_that_comes_in_time_lets_it_start(
    processes: Launch, rabbitmq_url: str, postgres_store_url: str, names: Names
) -> None:
    late = Proxy(postgres_store_url)
    service = processes(
        overlay=names.overlay(),
        RABBITMQ_URL=rabbitmq_url,
        EVENT_STORE_URL=late.url(),
        STORE_STARTUP_TIMEOUT_SECONDS="20",
    )
    service.launch()

    async def has_tried() -> bool:
        return "store_away" in service.log

    await eventually(has_tried)
    late.open()

    async def serves() -> bool:
        try:
            async with service.async_client() as client:
                return (await client.get("/ready")).status_code == 200
        except httpx.TransportError:
            return False

    await eventually(serves, seconds=30)
    async with service.async_client() as client:
        assert (await decide(client, await ask(client), Answered())).status_code == 200
    service.kill()
    late.cut()


@pytest.mark.rabbitmq
async def test_an_address_that_leads_to_a_standby_for_a_while_ends_and_parks_nothing(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    """As after a failover: it answers, takes no writes, and refuses LISTEN."""
    with postgres_node(free_port()) as node:
        await in_thread(node.start)
        await in_thread(lambda: migrate(node.url))
        service = processes(RABBITMQ_URL=rabbitmq_url, EVENT_STORE_URL=node.url)
        await in_thread(service.start)
        await until_ready(service)
        async with service.async_client() as client:
            approval_id = await ask(client)
        await in_thread(node.stop)
        await in_thread(node.start_as_standby)
        for number in range(5):
            data = {"opportunityId": "from-the-crm", "riskScore": 0.9, "amount": number}
            await crm.send("hitl.approval.requested", data)
        await answers_503(service, approval_id)
        await anyio.sleep(3)
        assert await crm.queued(crm.names.dead_letter_queue) == 0
        await in_thread(node.promote)
        await until_ready(service, seconds=45)

        async def all_handled() -> bool:
            there = await get(service, "/hitl/approvals", opportunityId="from-the-crm")
            return bool(there["total"] == 5)

        await eventually(all_handled, seconds=45)
        answered = Answered()
        async with service.async_client() as client:
            assert (await decide(client, approval_id, answered)).status_code == 200
        await all_published(crm, answered)
        assert_told_once_in_order(crm, answered)

        async def wakes_again() -> bool:
            return any('"goes_on"' in line and '"wakeups"' in line for line in service.log.splitlines())

        await eventually(wakes_again, seconds=15)
        service.kill()
