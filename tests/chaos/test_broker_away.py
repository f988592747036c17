"""The broker goes and comes: the service serves, says so, and tells all afterwards, once and in order."""

from typing import Any

import pytest

from tests.chaos.conftest import Launch
from tests.chaos.decisions import (
    Answered,
    all_published,
    assert_told_once_in_order,
    assert_told_truly,
    decide_a_bit_of_everything,
    get,
    in_thread,
    until,
    until_ready,
)
from tests.chaos.proxy import Proxy, proxy
from tests.harness import ServiceProcess, eventually
from tests.neighbours import Names, Neighbour, neighbour
from tests.services import free_port, rabbitmq_node

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]


async def until_broker_down(service: ServiceProcess, seconds: float = 20) -> None:
    """Wait until ``/ready`` says that it is the broker, and nothing else."""
    status, body = await until(service, lambda body: body["checks"]["broker"]["status"] == "down", seconds)
    assert (status, body["status"]) == (503, "not_ready")
    assert body["checks"]["broker"]["detail"]
    assert others(body) == {"up"}


def others(body: dict[str, Any]) -> set[str]:
    """How all but the broker fares, by ``/ready``."""
    return {body["checks"][other]["status"] for other in ("eventStore", "documents", "scheduler")}


async def is_consumed(service: ServiceProcess, crm: Neighbour, count: int) -> None:
    """Wait until so many approvals that neighbours asked for are there, and nothing waits any more."""

    async def there() -> bool:
        found = await get(service, "/hitl/approvals", opportunityId="from-the-crm")
        return bool(found["total"] == count and await crm.queued(crm.names.queue) == 0)

    await eventually(there, seconds=30)
    assert await crm.queued(crm.names.dead_letter_queue) == 0


async def ask_by_message(crm: Neighbour) -> None:
    """A neighbour asks for an approval."""
    data = {"opportunityId": "from-the-crm", "riskScore": 0.9, "amount": 1}
    await crm.send("hitl.approval.requested", data)


async def declare_own_queue(crm: Neighbour) -> None:
    """The own queue as running deployments have it."""
    queue = await crm.channel.declare_queue(crm.names.queue, durable=True)
    await queue.bind(crm.exchange, "hitl.approval.requested")


async def test_a_broker_that_is_away_at_start_is_told_everything_once_it_comes(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    between = Proxy(rabbitmq_url)
    service = processes(RABBITMQ_URL=between.url())
    await declare_own_queue(crm)
    await ask_by_message(crm)
    await in_thread(service.start)
    await until(service, lambda body: others(body) == {"up"})
    await until_broker_down(service)
    answered = Answered()
    await decide_a_bit_of_everything(service, answered)
    between.open()

    await is_consumed(service, crm, 1)
    await all_published(crm, answered)
    await until_ready(service)
    assert_told_once_in_order(crm, answered)
    between.cut()


async def test_a_broker_that_is_lost_is_told_everything_once_it_is_back(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    with proxy(rabbitmq_url) as between:
        service = processes(RABBITMQ_URL=between.url())
        await in_thread(service.start)
        await until_ready(service)
        before = Answered()
        await decide_a_bit_of_everything(service, before)
        await all_published(crm, before)
        for lost in range(1, 3):
            between.cut()
            await until_broker_down(service)
            meanwhile = Answered()
            await decide_a_bit_of_everything(service, meanwhile)
            await ask_by_message(crm)
            between.open()

            await is_consumed(service, crm, lost)
            await all_published(crm, meanwhile)
            await until_ready(service)
            assert_told_once_in_order(crm, meanwhile)


async def test_a_broker_that_is_lost_in_the_middle_of_publishing_misses_nothing(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    with proxy(rabbitmq_url) as between:
        service = processes(RABBITMQ_URL=between.url())
        await in_thread(service.start)
        await until_ready(service)
        answered = Answered()
        for _ in range(3):
            await decide_a_bit_of_everything(service, answered, count=8)
            between.cut()
            between.open()
        await all_published(crm, answered)
        await until_ready(service)
        assert_told_truly(crm, answered)


async def test_a_broker_that_falls_silent_is_noticed_and_told_everything(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    with proxy(rabbitmq_url) as between:
        service = processes(RABBITMQ_URL=between.url("heartbeat=1"))
        await in_thread(service.start)
        await until_ready(service)
        before = Answered()
        await decide_a_bit_of_everything(service, before, count=2)
        await all_published(crm, before)

        between.swallow()
        meanwhile = Answered()
        await decide_a_bit_of_everything(service, meanwhile)
        await ask_by_message(crm)
        await until_broker_down(service)
        between.open()

        await is_consumed(service, crm, 1)
        await all_published(crm, meanwhile)
        await until_ready(service)
        assert_told_once_in_order(crm, meanwhile)


async def test_a_broker_that_is_restarted_is_told_everything_once_it_is_back(
    processes: Launch, names: Names
) -> None:
    with rabbitmq_node(free_port()) as node:
        await in_thread(node.start)
        service = processes(RABBITMQ_URL=node.url)
        async with neighbour(node.url, names, clean=False):
            await in_thread(service.start)
            await until_ready(service)
            await in_thread(node.stop)
        await until_broker_down(service)
        answered = Answered()
        await decide_a_bit_of_everything(service, answered)
        await in_thread(node.start)
        async with neighbour(node.url, names, clean=False) as crm:
            await ask_by_message(crm)
            await is_consumed(service, crm, 1)
            await all_published(crm, answered)
            await until_ready(service)
            assert_told_once_in_order(crm, answered)
