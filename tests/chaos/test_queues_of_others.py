"""The queues belong to running deployments too: nobody's declaration may be answered with 406."""

from typing import Any

import aio_pika
import pytest

from tests.chaos.conftest import Launch
from tests.chaos.decisions import get, in_thread, until_ready
from tests.harness import SYSTEM_TENANT, ServiceProcess, eventually
from tests.neighbours import Names, Neighbour, forget, neighbour

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


JOBS = {
    "limited": {"message_type": "workflow.limited.trigger", "queue": "{names}.limited"},
    "locked": {"message_type": "workflow.locked.trigger", "queue": "{names}.locked"},
    "nobodys": {"message_type": "workflow.nobodys.trigger"},
    "plain": {},
}


async def test_a_queue_that_the_broker_refuses_or_that_is_missing_is_its_own_jobs_matter(
    processes: Launch, rabbitmq_url: str, names: Names
) -> None:
    rules = {
        job: {"cron": "0 0 29 2 *"} | {key: value.format(names=names.queue) for key, value in each.items()}
        for job, each in JOBS.items()
    }
    limited, locked = rules["limited"]["queue"], rules["locked"]["queue"]
    service = processes(overlay={"batch_jobs": {"jobs": rules}}, RABBITMQ_URL=rabbitmq_url)
    async with await aio_pika.connect(rabbitmq_url) as worker:
        channel = await worker.channel()
        await channel.declare_queue(limited, durable=True, arguments={"x-max-length": 9})
        await channel.declare_queue(locked, exclusive=True)
        await in_thread(service.start)
        await until_ready(service)
        runs = {job: await triggered(service, job) for job in rules}
        for job in ("limited", "plain"):
            await become(service, job, runs[job], "published")
        for job in ("locked", "nobodys"):
            failed = await become(service, job, runs[job], "failed")
            assert failed["error"] == f"no queue takes workflow.{job}.trigger"
        for queue in (limited, names.job_queue):
            assert (await channel.declare_queue(queue, passive=True)).declaration_result.message_count == 1
        assert "queue_refused" in service.log
        await channel.queue_delete(limited)
    await forget(rabbitmq_url, names)


async def triggered(service: ServiceProcess, job: str) -> str:
    """A run opened by hand; its id."""
    async with service.async_client(SYSTEM_TENANT) as client:
        answer = await client.post(f"/api/v1/jobs/{job}/trigger", json={})
    return str(answer.json()["runId"])


async def become(service: ServiceProcess, job: str, run_id: str, status: str) -> dict[str, Any]:
    """A run, once it has that status."""

    async def shown() -> dict[str, Any] | None:
        run = await get(service, f"/jobs/{job}/runs/{run_id}", SYSTEM_TENANT)
        return run if run["status"] == status else None

    run: dict[str, Any] = await eventually(shown, seconds=20)
    return run
