"""Cron in a real process: one firing on its minute, kept for a worker that does not exist yet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from domain.values import timestamp
from tests.chaos.conftest import Fired, Orphaned
from tests.chaos.decisions import get
from tests.contract.amqp import validate_message
from tests.harness import SYSTEM_TENANT, ServiceProcess, eventually
from tests.neighbours import neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]


async def only_run(service: ServiceProcess) -> dict[str, Any]:
    """The one run of the job."""
    runs = (await get(service, "/jobs/propagation/runs", SYSTEM_TENANT))["runs"]
    assert len(runs) == 1
    run: dict[str, Any] = runs[0]
    return run


@pytest.mark.timeout(150)
async def test_a_job_fires_on_its_minute_and_waits_for_a_worker_that_closes_the_run(
    fires_soon: Fired, rabbitmq_url: str
) -> None:
    service, names, nominal = fires_soon.service, fires_soon.names, fires_soon.nominal
    async with neighbour(rabbitmq_url, names) as crm:

        async def waits() -> bool:
            return await crm.queued(names.job_queue) > 0

        await eventually(waits, seconds=75)
        await anyio.sleep(1)
        assert await crm.queued(names.job_queue) == 1
        message = await crm.take(names.job_queue)
        body = validate_message(message.body, message, routing_key=message.routing_key)
        run = await only_run(service)
        assert run["status"] == "published"
        assert run["triggeredBy"] == "scheduler"
        assert run["nominalTime"] == timestamp(nominal)
        late = datetime.fromisoformat(run["scheduledAt"]) - nominal
        assert timedelta(0) <= late < timedelta(seconds=5)
        assert message.routing_key == body["type"] == "workflow.job.trigger"
        assert body["tenantId"] == SYSTEM_TENANT
        assert body["data"] == {
            "job": "propagation",
            "metadata": {
                "schedule": fires_soon.cron,
                "triggeredAt": body["data"]["metadata"]["triggeredAt"],
            },
            "triggeredBy": "scheduler",
            "timestamp": run["triggeredAt"],
        }

        completed_at = timestamp(datetime.now(UTC))
        data = {"job": "propagation", "status": "success", "completedAt": completed_at}
        await crm.send("workflow.job.completed", data, tenant=SYSTEM_TENANT)

        async def closed() -> bool:
            return bool((await only_run(service))["status"] == "completed")

        await eventually(closed)
        assert (await only_run(service))["completedAt"] == completed_at


@pytest.mark.postgres
@pytest.mark.timeout(150)
async def test_a_firing_whose_instance_was_killed_right_before_it_is_fired_once_by_another(
    orphaned: Orphaned, rabbitmq_url: str
) -> None:
    async with neighbour(rabbitmq_url, orphaned.names) as crm:

        async def waits() -> bool:
            return await crm.queued(orphaned.names.job_queue) > 0

        await eventually(waits, seconds=95)
        run = await only_run(orphaned.heir)
        assert run["nominalTime"] == timestamp(orphaned.nominal)
        late = datetime.fromisoformat(run["scheduledAt"]) - orphaned.nominal
        assert timedelta(0) <= late < timedelta(seconds=10)
        await anyio.sleep(1)
        assert await crm.queued(orphaned.names.job_queue) == 1
    assert orphaned.heir.log.count("lease_taken") >= 4
