"""A step that nobody answers times out: while running, and across a kill."""

import time
from datetime import datetime
from typing import Any

import anyio
import pytest

from tests.chaos.conftest import Launch
from tests.chaos.decisions import Answered, get, in_thread, start_workflow, until_ready
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
