"""Before anything is published, there is where it waits, and where what is answered to it waits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import anyio
import pytest

from application.integration import Source
from infrastructure.rabbit.connection import RabbitConnection
from infrastructure.rabbit.publisher import RabbitPublisher
from infrastructure.rabbit.topology import RabbitNames
from tests.chaos.proxy import proxy
from tests.harness import eventually
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


@asynccontextmanager
async def at_work(publisher: RabbitPublisher) -> AsyncIterator[None]:
    """It is connected, and looks often."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(publisher.run)
        assert await publisher.connection.until_up(20)
        yield
        await publisher.connection.close()


@pytest.fixture
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infrastructure.rabbit.connection.LOOK_SECONDS", 0.2)


async def test_what_is_answered_at_once_waits_for_a_consumer_that_has_never_been(
    publisher: RabbitPublisher, crm: Neighbour, names: Names
) -> None:
    async with at_work(publisher):
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
        async with at_work(publisher):
            await crm.send("workflow.job.trigger", {})
            assert await crm.queued(names.job_queue) == 1


@pytest.mark.usefixtures("_looks_often")
async def test_what_was_bound_is_bound_again_to_an_exchange_that_somebody_has_made_anew(
    publisher: RabbitPublisher, crm: Neighbour, names: Names
) -> None:
    async with at_work(publisher):
        await crm.channel.exchange_delete(names.exchange)
        await crm.channel.declare_exchange(names.exchange, aio_pika.ExchangeType.TOPIC, durable=True)

        async def all_arrive() -> bool:
            await crm.send(ANSWERS[0], {})
            await crm.send("workflow.job.trigger", {})
            return bool(await crm.queued(names.queue)) and bool(await crm.queued(names.job_queue))

        await eventually(all_arrive)
        assert publisher.connection.is_up


async def test_the_queue_of_triggers_is_there_again_after_each_reconnection(
    rabbitmq_url: str, names: Names, crm: Neighbour
) -> None:
    wire = RabbitNames(exchange=names.exchange, queue=names.queue, job_queue=names.job_queue)
    with proxy(rabbitmq_url) as between:
        connection = RabbitConnection(between.url(), purpose="test", app_id="tests", graceful_seconds=0)
        source = Source(service="tests", instance="tests-1")
        publisher = RabbitPublisher(connection, wire, source, in_flight=1, count=print, count_refused=print)
        async with at_work(publisher):
            between.cut()

            async def is_down() -> bool:
                return not connection.is_up

            await eventually(is_down)
            await crm.channel.queue_delete(names.job_queue)

            async def says_why_it_does_not_come_back() -> bool:
                return "connection lost" not in str(connection.error)

            await eventually(says_why_it_does_not_come_back)
            between.open()
            assert await connection.until_up(20)
            await crm.send("workflow.job.trigger", {})
            assert await crm.queued(names.job_queue) == 1
