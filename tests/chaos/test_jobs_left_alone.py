"""Runs of jobs while the broker is away, and after the settings have lost their job, in real processes."""

from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest

from tests.chaos.conftest import Launch
from tests.chaos.decisions import get, in_thread, until_ready
from tests.chaos.proxy import proxy
from tests.chaos.test_broker_away import until_broker_down
from tests.harness import SYSTEM_TENANT, ServiceProcess, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

JOB = "reconciliation"
DEADLINE = timedelta(seconds=1)
RARELY = "0 0 29 2 *"


def with_job(**rules: Any) -> dict[str, Any]:
    """Settings that name the job."""
    return {"batch_jobs": {"jobs": {JOB: {"cron": RARELY, **rules}}}}


async def ask(service: ServiceProcess, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a request of the platform's operators is answered with."""
    async with service.async_client(SYSTEM_TENANT) as client:
        answer = await client.post(f"/api/v1/jobs/{JOB}{path}", json=body)
    assert answer.status_code < 300, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def once(service: ServiceProcess, path: str, *statuses: str) -> dict[str, Any]:
    """A run or backfill, once it has one of those states."""

    async def shown() -> dict[str, Any] | None:
        found = await get(service, f"/jobs/{JOB}{path}", SYSTEM_TENANT)
        return found if found["status"] in statuses else None

    found: dict[str, Any] = await eventually(shown, seconds=30)
    return found


def moment(run: dict[str, Any], name: str) -> datetime:
    """One of a run's times."""
    return datetime.fromisoformat(run[name])


async def test_what_the_broker_is_away_for_is_not_taken_from_the_workers_time(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    with proxy(rabbitmq_url) as between:
        service = processes(
            overlay=with_job(deadline_seconds=DEADLINE.total_seconds()), RABBITMQ_URL=between.url()
        )
        await in_thread(service.start)
        await until_ready(service)
        between.cut()
        await until_broker_down(service)
        path = f"/runs/{(await ask(service, '/trigger', {}))['runId']}"
        await anyio.sleep(2 * DEADLINE.total_seconds())
        assert (await get(service, f"/jobs/{JOB}{path}", SYSTEM_TENANT))["status"] == "scheduled"
        between.open()
        run = await once(service, path, "timed_out")
    assert moment(run, "publishedAt") - moment(run, "triggeredAt") > DEADLINE
    assert moment(run, "deadlineAt") - moment(run, "publishedAt") == DEADLINE
    assert run["timedOutAt"] >= run["deadlineAt"]


async def test_what_is_open_comes_to_its_end_though_the_settings_name_the_job_no_more(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    first = processes(
        overlay=with_job(deadline_seconds=60, retries={"attempts": 2}), RABBITMQ_URL=rabbitmq_url
    )
    await in_thread(first.start)
    by_hand = (await ask(first, "/trigger", {}))["runId"]
    days = {"from": "2026-01-01", "to": "2026-01-03"}
    backfill = (await ask(first, "/backfills", days))["backfillId"]
    triggers = [each["metadata"]["correlationId"] for each in await crm.expect("workflow.job.trigger", 2)]
    await once(first, f"/runs/{by_hand}", "published")
    await in_thread(first.terminate)

    second = processes(RABBITMQ_URL=rabbitmq_url)
    await in_thread(second.start)
    for correlation in triggers:
        given_back = {"correlationId": correlation}
        told = {"job": JOB, "error": "no disk"}
        await crm.send("workflow.job.failed", told, tenant=SYSTEM_TENANT, metadata=given_back)
    failed = await once(second, f"/runs/{by_hand}", "failed")
    ended = await once(second, f"/backfills/{backfill}", "completed_with_failures")
    assert "retryAt" not in failed
    assert [each["status"] for each in ended["failedWindows"]] == ["failed", "refused"]
