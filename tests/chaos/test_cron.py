"""Cron in a real process: a firing of the next minute, kept for a worker that does not exist yet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import msgspec
import pytest

from domain.values import timestamp
from tests.chaos.conftest import Launch
from tests.chaos.decisions import get, in_thread, until_ready
from tests.contract.amqp import validate_message
from tests.harness import SYSTEM_TENANT, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

HEAD_START = timedelta(seconds=6)


async def test_a_job_fires_on_the_minute_and_waits_for_a_worker_that_closes_the_run(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    nominal = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    if nominal - datetime.now(UTC) < HEAD_START:
        nominal += timedelta(minutes=1)
    await anyio.sleep((nominal - datetime.now(UTC) - HEAD_START).total_seconds())
    service = processes(RABBITMQ_URL=rabbitmq_url, PROPAGATION_CRON="* * * * *")
    await in_thread(service.start)
    await until_ready(service)
    assert datetime.now(UTC) < nominal
    shown = await get(service, "/jobs/propagation", SYSTEM_TENANT)
    assert shown["nextFireTimes"][0] == timestamp(nominal)
    assert "lastRun" not in shown

    async def waits() -> bool:
        return await crm.queued(crm.names.job_queue) > 0

    await eventually(waits, seconds=65)
    assert datetime.now(UTC) - nominal < timedelta(seconds=5)
    await anyio.sleep(1)
    assert await crm.queued(crm.names.job_queue) == 1
    message = await crm.take(crm.names.job_queue)
    body = validate_message(message.body, message, routing_key=message.routing_key)
    run = await only_run(service)
    assert message.routing_key == body["type"] == "workflow.job.trigger"
    assert body["tenantId"] == SYSTEM_TENANT
    assert body["data"] == {
        "job": "propagation",
        "metadata": {"schedule": "* * * * *", "triggeredAt": body["data"]["metadata"]["triggeredAt"]},
        "triggeredBy": "scheduler",
        "timestamp": run["scheduledAt"],
    }
    assert run["status"] == "scheduled"
    assert run["triggeredBy"] == "scheduler"
    assert run["nominalTime"] == timestamp(nominal)

    completed_at = timestamp(datetime.now(UTC))
    data = {"job": "propagation", "status": "success", "completedAt": completed_at}
    await crm.send("workflow.job.completed", data, tenant=SYSTEM_TENANT)

    async def closed() -> bool:
        return bool((await only_run(service))["status"] == "completed")

    await eventually(closed)
    assert (await only_run(service))["completedAt"] == completed_at
    assert [msgspec.json.decode(each.body)["data"]["job"] for each in crm.seen][0] == "propagation"


async def only_run(service: Any) -> dict[str, Any]:
    """The one run of the job."""
    runs = (await get(service, "/jobs/propagation/runs", SYSTEM_TENANT))["runs"]
    assert len(runs) == 1
    run: dict[str, Any] = runs[0]
    return run
