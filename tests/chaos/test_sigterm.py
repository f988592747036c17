"""SIGTERM: it ends well within 15 seconds, whatever is away, and nothing that was taken is lost."""

import time

import anyio
import httpx
import pytest

from tests.chaos.conftest import Launch
from tests.chaos.decisions import (
    Answered,
    all_published,
    ask,
    assert_told_truly,
    decide,
    decide_a_bit_of_everything,
    get,
    in_thread,
    until,
    until_ready,
)
from tests.chaos.proxy import proxy
from tests.harness import ServiceProcess, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

LIMIT_SECONDS = 15
BURST = 400


async def ends_in_time(service: ServiceProcess) -> None:
    """SIGTERM, and an end with exit code 0 within the limit."""
    began = time.monotonic()
    code = await in_thread(lambda: service.terminate(LIMIT_SECONDS + 10))
    assert time.monotonic() - began < LIMIT_SECONDS, f"it took its time:\n{service.log[-3000:]}"
    assert code == 0, service.log[-3000:]
    assert not [line for line in service.log.splitlines() if not line.startswith("{")], service.log[-3000:]
    assert '"event":"stopped"' in service.log


async def approvals_of_the_crm(service: ServiceProcess) -> int:
    """How many approvals the neighbours' messages have made."""
    return int((await get(service, "/hitl/approvals", opportunityId="from-the-crm", limit=1))["total"])


async def send_burst(crm: Neighbour, count: int) -> None:
    """Neighbours ask for approvals, one after the other."""
    for number in range(count):
        data = {"opportunityId": "from-the-crm", "riskScore": 0.9, "amount": number}
        await crm.send("hitl.approval.requested", data)


async def test_it_ends_well_under_load_and_what_it_took_is_not_lost(
    service: ServiceProcess, crm: Neighbour
) -> None:
    await in_thread(service.start)
    await until_ready(service)
    answered = Answered()
    faults: list[str] = []

    async def keep_deciding() -> None:
        async with service.async_client() as client:
            while True:
                try:
                    answer = await decide(client, await ask(client), answered)
                except (httpx.TransportError, AssertionError):
                    return
                if answer.status_code != 200:
                    faults.append(answer.text)

    async def some_are_decided() -> bool:
        return bool(answered.approvals)

    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(keep_deciding)
        tasks.start_soon(send_burst, crm, BURST)
        await eventually(some_are_decided)
        await ends_in_time(service)
    assert faults == []
    waiting = await crm.queued(crm.names.queue)

    await in_thread(service.start)

    async def all_there() -> bool:
        return await approvals_of_the_crm(service) >= BURST

    await eventually(all_there)
    await all_published(crm, answered)
    await until_ready(service)
    assert await approvals_of_the_crm(service) == BURST
    assert waiting > 0, "the stop was not in the middle of the burst"
    assert await crm.queued(crm.names.dead_letter_queue) == 0
    for approval_id, approval in answered.approvals.items():
        assert await get(service, f"/hitl/approvals/{approval_id}") == approval
    assert_told_truly(crm, answered)
    published = [message["id"] for message in crm.messages()]
    assert len(published) == len(set(published)), "a clean stop repeats nothing"


@pytest.mark.parametrize("silent", [False, True], ids=["cut", "silent"])
async def test_it_ends_in_time_while_the_broker_is_away(
    processes: Launch, rabbitmq_url: str, crm: Neighbour, silent: bool
) -> None:
    with proxy(rabbitmq_url) as between:
        service = processes(RABBITMQ_URL=between.url())
        await in_thread(service.start)
        await until_ready(service)
        if silent:
            between.swallow()
        else:
            between.cut()
        answered = Answered()
        await decide_a_bit_of_everything(service, answered)
        await ends_in_time(service)
        between.open()

        await in_thread(service.start)
        await all_published(crm, answered)
        assert_told_truly(crm, answered)


async def test_it_ends_in_time_while_the_broker_has_never_been_there(
    processes: Launch, rabbitmq_url: str
) -> None:
    with proxy(rabbitmq_url) as between:
        between.cut()
        service = processes(RABBITMQ_URL=between.url())
        await in_thread(service.start)
        await decide_a_bit_of_everything(service, Answered())
        await ends_in_time(service)


@pytest.mark.postgres
async def test_it_ends_in_time_while_the_event_store_is_away_and_messages_wait_for_it(
    processes: Launch, rabbitmq_url: str, postgres_store_url: str, crm: Neighbour
) -> None:
    with proxy(postgres_store_url) as between:
        away = between.url()
        service = processes(RABBITMQ_URL=rabbitmq_url, EVENT_STORE_URL=away)
        await in_thread(service.start)
        await until_ready(service)
        between.cut()
        await send_burst(crm, 100)
        await until(service, lambda body: body["checks"]["eventStore"]["status"] == "down")
        await ends_in_time(service)
        assert await crm.queued(crm.names.queue) == 100
        assert await crm.queued(crm.names.dead_letter_queue) == 0
        between.open()

        await in_thread(service.start)

        async def all_there() -> bool:
            return await approvals_of_the_crm(service) >= 100

        await eventually(all_there)
        assert await approvals_of_the_crm(service) == 100
