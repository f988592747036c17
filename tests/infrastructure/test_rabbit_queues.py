"""Before anything is published, there is where it waits, and where what is answered to it waits."""

from collections.abc import AsyncIterator

import aio_pika
import anyio
import pytest

from application.integration import Source
from infrastructure.rabbit.connection import RabbitConnection
from infrastructure.rabbit.publisher import RabbitPublisher
from infrastructure.rabbit.topology import RabbitNames
from tests.neighbours import Names, Neighbour, neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

ANSWERS = ["workflow.job.completed", "workflow.job.failed"]


@pytest.fixture
def names() -> Names:
    """Queues of this test's own, on a broker where the service has never been."""
    return Names.fresh()


@pytest.fixture
async def crm(rabbitmq_url: str, names: Names) -> AsyncIterator[Neighbour]:
    """Who answers."""
    async with neighbour(rabbitmq_url, names) as crm:
        yield crm


@pytest.fixture
async def publisher(rabbitmq_url: str, names: Names, crm: Neighbour) -> AsyncIterator[RabbitPublisher]:
    """One that is not connected yet, of a service that consumes nothing."""
    connection = RabbitConnection(rabbitmq_url, purpose="test", app_id="tests", graceful_seconds=0)
    wire = RabbitNames(
        exchange=names.exchange,
        queue=names.queue,
        job_queue=names.job_queue,
        dead_letter_queue=names.dead_letter_queue,
        bindings=ANSWERS,
    )
    source = Source(service="tests", instance="tests-1")
    yield RabbitPublisher(connection, wire, source, in_flight=1, count=print, count_refused=print)
    await connection.close()


async def test_what_is_answered_at_once_waits_for_a_consumer_that_has_never_been(
    publisher: RabbitPublisher, crm: Neighbour, names: Names
) -> None:
    with anyio.fail_after(10):
        await publisher.run()
    for message_type in ANSWERS:
        await crm.send(message_type, {})
    await crm.send("something.else", {})
    assert await crm.queued(names.queue) == len(ANSWERS)
    await crm.send("workflow.job.trigger", {})
    assert await crm.queued(names.job_queue) == 1


async def test_one_who_may_not_have_its_own_queue_publishes_all_the_same(
    publisher: RabbitPublisher, crm: Neighbour, names: Names, rabbitmq_url: str
) -> None:
    async with await aio_pika.connect(rabbitmq_url) as another:
        await (await another.channel()).declare_queue(names.queue, exclusive=True)
        with anyio.fail_after(10):
            await publisher.run()
        assert publisher.connection.is_up
        await crm.send("workflow.job.trigger", {})
        assert await crm.queued(names.job_queue) == 1
