"""The queues belong to running deployments too: nobody's declaration may be answered with 406."""

import aio_pika
import pytest

from tests.chaos.decisions import get, in_thread, until_ready
from tests.harness import ServiceProcess, eventually
from tests.neighbours import Names, Neighbour, neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]


async def test_queues_that_others_declared_before_are_taken_as_they_are(
    service: ServiceProcess, crm: Neighbour
) -> None:
    for name in (crm.names.queue, crm.names.job_queue, crm.names.dead_letter_queue):
        await crm.channel.declare_queue(name, durable=True)
    queue = await crm.channel.get_queue(crm.names.queue)
    await queue.bind(crm.exchange, "hitl.approval.requested")
    await crm.send("hitl.approval.requested", {"opportunityId": "before", "riskScore": 1, "amount": 1})
    await in_thread(service.start)
    await until_ready(service)
    assert "PRECONDITION" not in service.log

    async def taken() -> bool:
        return bool((await get(service, "/hitl/approvals", opportunityId="before"))["total"])

    await eventually(taken)


async def test_others_may_declare_the_queues_afterwards_without_arguments(
    service: ServiceProcess, crm: Neighbour, rabbitmq_url: str, names: Names
) -> None:
    await in_thread(service.start)
    await until_ready(service)
    async with neighbour(rabbitmq_url, names, clean=False) as worker:
        for name in (names.queue, names.job_queue, names.dead_letter_queue):
            queue = await worker.channel.declare_queue(name, durable=True)
            assert queue.declaration_result.consumer_count == (1 if name == names.queue else 0)
        await worker.channel.declare_exchange(names.exchange, aio_pika.ExchangeType.TOPIC, durable=True)
        with pytest.raises(aio_pika.exceptions.ChannelPreconditionFailed):
            await worker.channel.declare_queue(
                names.job_queue, durable=True, arguments={"x-queue-type": "quorum"}
            )
