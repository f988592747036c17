"""Queues that somebody deletes meanwhile: what goes into them is not lost."""

import msgspec
import pytest
from aio_pika.exceptions import ChannelPreconditionFailed

from tests.harness import SYSTEM_TENANT, Service, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]


async def shown(service: Service, metric: str) -> None:
    """Wait until the metrics hold that line."""
    async with service.client(None) as client:

        async def there() -> bool:
            return metric in (await client.get("/metrics")).text

        await eventually(there)


async def test_a_dead_letter_queue_that_is_gone_is_made_again(orchestrator: Service, crm: Neighbour) -> None:
    await crm.channel.queue_delete(crm.names.dead_letter_queue)
    await crm.send_raw("hitl.approval.requested", b"not json")
    await shown(orchestrator, 'messages_consumed_total{outcome="parked",type="hitl.approval.requested"} 1.0')
    parked = await crm.take(crm.names.dead_letter_queue)
    assert parked.body == b"not json"
    assert str(parked.headers["x-reason"]).startswith("not JSON")


async def test_a_job_queue_that_is_gone_is_made_again_for_the_trigger(
    orchestrator: Service, crm: Neighbour
) -> None:
    await crm.channel.queue_delete(crm.names.job_queue)
    spy = f"{crm.names.queue}.spy"
    await (await crm.channel.get_queue(spy)).unbind(crm.exchange, "#")
    async with orchestrator.client(SYSTEM_TENANT) as client:
        assert (await client.post("/api/v1/jobs/outcome-sync/trigger")).status_code == 202
    await shown(orchestrator, 'batch_job_triggers_total{batch_job="outcome-sync"} 1.0')
    trigger = msgspec.json.decode((await crm.take(crm.names.job_queue)).body)
    assert trigger["data"]["job"] == "outcome-sync"
    assert await crm.queued(crm.names.job_queue) == 0


async def test_a_message_beyond_the_limit_is_parked(orchestrator: Service, crm: Neighbour) -> None:
    await crm.send("forecast.completed", {"workflowId": "w", "padding": "x" * 2**21})
    parked = await crm.take(crm.names.dead_letter_queue)
    assert "at most 2097152" in str(parked.headers["x-reason"])


async def broker_check(service: Service) -> dict[str, str]:
    """What /ready tells of the broker."""
    async with service.client(None) as client:
        told: dict[str, str] = (await client.get("/ready")).json()["checks"]["broker"]
    return told


@pytest.fixture
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infrastructure.rabbit.connection.LOOK_SECONDS", 0.2)


@pytest.mark.usefixtures("_looks_often")
async def test_an_own_queue_that_somebody_made_otherwise_is_told_and_consumed_again_once_it_can_be(
    orchestrator: Service, crm: Neighbour
) -> None:
    async def is_made_otherwise() -> bool:
        channel = await crm.connection.channel()
        await channel.queue_delete(crm.names.queue)
        try:
            await channel.declare_queue(crm.names.queue, durable=True, arguments={"x-max-length": 1000})
        except ChannelPreconditionFailed:
            return False
        await channel.close()
        return True

    await eventually(is_made_otherwise)

    async def is_told() -> bool:
        told = await broker_check(orchestrator)
        return told["status"] == "down" and "PRECONDITION_FAILED" in told["detail"]

    await eventually(is_told)
    await crm.channel.queue_delete(crm.names.queue)

    async def is_up() -> bool:
        return (await broker_check(orchestrator))["status"] == "up"

    await eventually(is_up)
    await crm.send("hitl.approval.requested", {"opportunityId": "o", "riskScore": 1, "amount": 1})
    await shown(orchestrator, 'messages_consumed_total{outcome="handled",type="hitl.approval.requested"} 1.0')
