"""A step that nobody answers times out: while running, and across a kill."""

import time
from datetime import datetime
from typing import Any

import anyio
import pytest

from tests.chaos.conftest import Launch
from tests.chaos.decisions import Answered, get, in_thread, start_workflow, until_ready
from tests.chaos.proxy import proxy
from tests.harness import ServiceProcess, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]


async def started(service: ServiceProcess) -> str:
    """Start a workflow; its id."""
    answered = Answered()
    async with service.async_client() as client:
        assert (await start_workflow(client, answered)).status_code == 202
    return answered.workflows[0]


async def failed(service: ServiceProcess, workflow_id: str) -> dict[str, Any]:
    """The workflow's document, once it has failed."""

    async def there() -> dict[str, Any] | None:
        workflow = await get(service, f"/workflows/{workflow_id}")
        return workflow if workflow["status"] == "failed" else None

    found: dict[str, Any] = await eventually(there)
    return found


def seconds_between(start: str, end: str) -> float:
    """Seconds from one time of a document to another."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


async def test_a_deadline_that_passes_while_running_fails_the_workflow(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    service = processes(RABBITMQ_URL=rabbitmq_url, WORKFLOW_STEP_TIMEOUT_SECONDS="2")
    await in_thread(service.start)
    workflow_id = await started(service)
    workflow = await failed(service, workflow_id)
    assert 2 <= seconds_between(workflow["startedAt"], workflow["completedAt"]) < 6
    assert workflow["failedStep"] in ("risk_analysis", "forecast")
    (message,) = await crm.expect("workflow.opportunity.analysis.failed")
    assert message["data"]["workflowId"] == workflow_id
    assert message["data"]["failedStep"] == workflow["failedStep"]


async def test_a_deadline_that_passes_while_it_is_down_fails_the_workflow_after_the_restart(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    service = processes(RABBITMQ_URL=rabbitmq_url, WORKFLOW_STEP_TIMEOUT_SECONDS="2")
    await in_thread(service.start)
    workflow_id = await started(service)
    await crm.expect("workflow.recommendation.requested")
    service.kill()
    assert crm.messages("workflow.opportunity.analysis.failed") == []
    await anyio.sleep(3)

    await in_thread(service.start)
    began = time.monotonic()
    workflow = await failed(service, workflow_id)
    assert time.monotonic() - began < 10
    assert workflow["completedAt"] > workflow["steps"][0]["deadlineAt"]
    timed_out = [step for step in workflow["steps"] if step["status"] == "failed"]
    assert timed_out
    assert all("error" in step for step in timed_out)
    message = (await crm.expect("workflow.opportunity.analysis.failed"))[0]
    assert message["data"]["workflowId"] == workflow_id
    await until_ready(service)
    for message_type in ("workflow.opportunity.analysis.failed", "workflow.recommendation.requested"):
        assert len({each["id"] for each in crm.messages(message_type)}) == 1


IN_SECONDS = 3
FORESEEN = {
    "name": "foreseen",
    "version": 1,
    "deadline": IN_SECONDS,
    "steps": [
        {
            "stepType": "forecast",
            "kind": "event",
            "timeout": "none",
            "parameters": {
                "request": "workflow.forecast.requested",
                "replies": [{"type": "forecast.completed"}],
            },
        }
    ],
}


async def asked(service: ServiceProcess, crm: Neighbour, count: int) -> list[str]:
    """Workflows that must have their answer in :data:`IN_SECONDS`, and have asked for it."""
    async with service.async_client() as client:
        put = await client.put("/api/v1/workflow-definitions/foreseen", json=FORESEEN)
        assert put.is_success, put.text
        body = {"definition": "foreseen", "opportunityId": "opp-1"}
        starts = [await client.post("/api/v1/workflows", json=body) for _ in range(count)]
    await crm.expect("workflow.forecast.requested", count)
    return [each.json()["workflowId"] for each in starts]


async def in_time_told(crm: Neighbour, workflow_ids: list[str]) -> None:
    """The neighbour answers at once; then the deadline passes by far."""
    for workflow_id in workflow_ids:
        await crm.send("forecast.completed", {"workflowId": workflow_id, "opportunityId": "opp-1"})
    await anyio.sleep(IN_SECONDS + 2)


async def ends(service: ServiceProcess, workflow_ids: list[str]) -> list[str]:
    """How each has ended."""

    async def all_ended() -> list[str] | None:
        found = [(await get(service, f"/workflows/{each}"))["status"] for each in workflow_ids]
        return found if "running" not in found else None

    ended: list[str] = await eventually(all_ended)
    return ended


async def test_what_was_answered_in_time_while_the_process_was_away_counts(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    service = processes(RABBITMQ_URL=rabbitmq_url)
    await in_thread(service.start)
    *answered, forgotten = await asked(service, crm, 20)
    service.kill()
    await in_time_told(crm, answered)
    await in_thread(service.start)
    assert set(await ends(service, answered)) == {"completed"}
    assert await ends(service, [forgotten]) == ["failed"], "a deadline passes in the end"


async def test_what_was_answered_in_time_while_the_broker_was_away_counts(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    with proxy(rabbitmq_url) as between:
        service = processes(RABBITMQ_URL=between.url())
        await in_thread(service.start)
        answered = await asked(service, crm, 20)
        between.cut()
        await in_time_told(crm, answered)
        assert {(await get(service, f"/workflows/{each}"))["status"] for each in answered} == {"running"}
        between.open()
        assert set(await ends(service, answered)) == {"completed"}
