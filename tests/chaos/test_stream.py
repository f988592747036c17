"""Watching a workflow while servers are killed, stopped, and more than one."""

import time
from contextlib import suppress
from typing import Any

import anyio
import httpx
import pytest

from tests.chaos.conftest import Launch, LaunchOn
from tests.chaos.decisions import in_thread, until_ready
from tests.harness import ServiceProcess
from tests.neighbours import Neighbour
from tests.streams import WORKFLOWS, Sent, sent, taken, watching

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

REPLIES: dict[str, dict[str, Any]] = {
    "risk.evaluation.completed": {"evaluationId": "e", "riskScore": 0.5, "detectedRisks": []},
    "risk.scoring.completed": {"scoringId": "s", "mlRiskScore": 0.5, "modelId": "m", "confidence": 1},
    "forecast.completed": {"forecastId": "f", "revenueForecast": 1, "confidence": 1},
    "recommendation.generation.completed": {"recommendationId": "r", "recommendations": []},
}


async def started(process: ServiceProcess) -> str:
    async with process.async_client() as client:
        answer = await client.post(WORKFLOWS, json={"opportunityId": "opp-1"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["workflowId"])


async def reply(crm: Neighbour, workflow_id: str, message_type: str) -> None:
    await crm.send(
        message_type, {"workflowId": workflow_id, "opportunityId": "opp-1", **REPLIES[message_type]}
    )


async def seen_until_killed(process: ServiceProcess, workflow_id: str, after: int | None) -> list[Sent]:
    """What a client sees until it has seen all steps go out, or more, and the server is killed."""
    seen = []
    with suppress(httpx.HTTPError):
        async with watching(process.url, workflow_id, after) as answer:
            async for each in sent(answer):
                seen.append(each)
                if each.data["version"] >= 5 and process.is_running:
                    await in_thread(process.kill)
    assert not process.is_running
    return seen


async def test_a_client_goes_on_where_it_was_when_the_server_was_killed(
    processes: Launch, rabbitmq_url: str, crm: Neighbour
) -> None:
    process = processes(RABBITMQ_URL=rabbitmq_url)
    await in_thread(process.start)
    await until_ready(process)
    workflow_id = await started(process)
    seen: list[Sent] = []
    for message_type in REPLIES:
        seen += await seen_until_killed(process, workflow_id, seen[-1].id if seen else None)
        await reply(crm, workflow_id, message_type)
        await in_thread(process.start)
    async with watching(process.url, workflow_id, seen[-1].id) as answer:
        seen += [each async for each in sent(answer)]
    assert seen.pop().name == "end"
    async with process.async_client() as client:
        trail = (await client.get(f"{WORKFLOWS}/{workflow_id}/events", params={"limit": 200})).json()
    assert [each.data for each in seen] == list(reversed(trail["events"]))
    assert trail["total"] == 10


async def test_a_stop_ends_a_stream_at_once_and_in_order(processes: Launch, rabbitmq_url: str) -> None:
    process = processes(RABBITMQ_URL=rabbitmq_url)
    await in_thread(process.start)
    workflow_id = await started(process)
    async with watching(process.url, workflow_id) as answer:
        events = sent(answer)
        for _ in range(5):
            await anext(events)
        began = time.monotonic()
        async with anyio.create_task_group() as group:
            group.start_soon(in_thread, process.terminate)
            assert [each async for each in events] == [], "it ended as a body ends, and not with the workflow"
        assert time.monotonic() - began < 4
    assert process.wait() == 0


@pytest.mark.postgres
@pytest.mark.cosmos
async def test_a_change_at_another_instance_is_told(launch: LaunchOn, crm: Neighbour) -> None:
    here = launch(SERVICE_ROLES="api").launch()
    there = launch(SERVICE_ROLES="api,consumer,projector,publisher,scheduler").launch()
    for process in (here, there):
        await in_thread(process.until_it_serves)
    workflow_id = await started(there)
    async with watching(here.url, workflow_id) as answer:
        events = sent(answer)
        for _ in range(5):
            await anext(events)
        for message_type in REPLIES:
            await anyio.sleep(0.3)
            began = time.monotonic()
            await reply(crm, workflow_id, message_type)
            with anyio.fail_after(10):
                assert (await anext(events)).data["type"] == "workflow.step_completed"
            assert time.monotonic() - began < 0.7, "a notice wakes it, not the clock alone"
        assert (await anext(events)).data["type"] == "workflow.completed"
        assert (await anext(events)).name == "end"
    assert await taken(there.url, workflow_id) == await taken(here.url, workflow_id)
