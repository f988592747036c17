"""What is done with a task, a workflow or a backfill belongs to what that does, unless it names a thing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from domain.values import SYSTEM_TENANT
from tests.harness import Service, eventually, service, settings_in

pytestmark = pytest.mark.anyio

API = "/api/v1"

TASKS = {
    "name": "calls",
    "version": 1,
    "steps": [
        {"stepType": each, "kind": "task", "parameters": {"queue": "calls"}, "after": before}
        for each, before in (("first", []), ("second", ["first"]))
    ],
}


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service with a definition of two tasks."""
    async with service(settings_in(tmp_path)) as running, running.client() as client:
        answer = await client.put(f"{API}/workflow-definitions/calls", json=TASKS)
        assert answer.status_code == 201, answer.text
        yield running


async def begun(service: Service, correlation: str) -> str:
    """A workflow of a correlation."""
    async with service.client(**{"X-Correlation-ID": correlation}) as client:
        answer = await client.post(f"{API}/workflows", json={"definition": "calls", "input": {}})
    return str(answer.json()["workflowId"])


async def told(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    """What a command answers."""
    answer = await client.post(API + path, json=body)
    assert answer.is_success, answer.text
    return dict(answer.json())


async def claimed(client: httpx.AsyncClient) -> dict[str, Any]:
    """The next task."""
    (task,) = (await told(client, "/tasks/claim", queue="calls", workerId="w", waitSeconds=20))["tasks"]
    return dict(task)


async def correlations(client: httpx.AsyncClient, path: str) -> dict[str, str]:
    """What each event of a thing belongs to, by its type."""
    events = (await client.get(f"{API}{path}/events")).json()["events"]
    return {each["type"]: each["correlationId"] for each in events}


async def step_of(client: httpx.AsyncClient, workflow_id: str, step_type: str) -> str:
    """The id of a step."""

    async def found() -> str | None:
        steps = (await client.get(f"{API}/workflows/{workflow_id}/steps")).json().get("steps", [])
        return next((each["stepId"] for each in steps if each["stepType"] == step_type), None)

    return str(await eventually(found))


@pytest.mark.parametrize("headers", [{}, {"X-Correlation-ID": "no uuid"}])
async def test_the_trail_of_a_workflow_goes_through_its_tasks_to_its_end(
    running: Service, headers: dict[str, str]
) -> None:
    correlation = str(uuid4())
    workflow_id = await begun(running, correlation)
    async with running.client(**headers) as worker:
        first = await claimed(worker)
        lease = {"leaseToken": first["leaseToken"]}
        await told(worker, f"/tasks/{first['id']}/heartbeat", **lease, leaseSeconds=600)
        await told(worker, f"/tasks/{first['id']}/release", **lease)
        again = await claimed(worker)
        lease = {"leaseToken": again["leaseToken"]}
        await told(worker, f"/tasks/{again['id']}/complete", **lease, output={})
        second = await claimed(worker)
        lease = {"leaseToken": second["leaseToken"]}
        await told(worker, f"/tasks/{second['id']}/fail", **lease, error="engaged", retryable=False)

        async def trail() -> set[str]:
            found = await worker.get(f"{API}/audit/events?correlationId={correlation}&limit=100")
            types = {each["type"] for each in found.json()["events"]}
            return types if "workflow.completed" in types else set()

        assert {
            "workflow.started",
            "task.claimed",
            "task.lease_extended",
            "task.released",
            "task.completed",
            "workflow.step_completed",
            "task.failed",
            "workflow.step_failed",
        } <= await eventually(trail)
        for path in (f"/tasks/{first['id']}", f"/tasks/{second['id']}", f"/workflows/{workflow_id}"):
            assert set((await correlations(worker, path)).values()) == {correlation}


async def test_orders_to_a_workflow_belong_to_what_it_belongs_to(running: Service) -> None:
    correlation = str(uuid4())
    workflow_id = await begun(running, correlation)
    path = f"/workflows/{workflow_id}"
    async with running.client() as client:
        first = await step_of(client, workflow_id, "first")
        await told(client, f"{path}/pause")
        await told(client, f"{path}/resume")
        await told(client, f"{path}/steps/{first}/complete", result={})
        second = await step_of(client, workflow_id, "second")
        await told(client, f"{path}/steps/{second}/skip", reason="not now")
        await told(client, f"{path}/retry", fromStep="second")
        await told(client, f"{path}/cancel", reason="enough")
        assert set((await correlations(client, path)).values()) == {correlation}


async def test_each_of_many_belongs_to_what_its_own_workflow_belongs_to(running: Service) -> None:
    workflows = {await begun(running, each): each for each in (str(uuid4()), str(uuid4()))}
    async with running.client() as client:
        await running.caught_up()
        order = {"action": "cancel", "filter": {"definition": "calls"}, "reason": "enough"}
        outcomes = (await told(client, "/workflows/bulk", **order))["outcomes"]
        assert [each["outcome"] for each in outcomes] == ["done", "done"]
        for workflow_id, correlation in workflows.items():
            assert set((await correlations(client, f"/workflows/{workflow_id}")).values()) == {correlation}


async def test_a_backfill_is_cancelled_as_what_it_belongs_to(tmp_path: Path) -> None:
    correlation, path = str(uuid4()), "/jobs/risk-snapshot-backfill/backfills"
    async with service(settings_in(tmp_path)) as running:
        async with running.client(SYSTEM_TENANT, **{"X-Correlation-ID": correlation}) as client:
            window = {"from": "2026-01-01", "to": "2026-01-03"}
            backfill_id = (await told(client, path, **window))["backfillId"]
        async with running.client(SYSTEM_TENANT) as client:
            await told(client, f"{path}/{backfill_id}/cancel", reason="enough")
            told_by = await correlations(client, f"{path}/{backfill_id}")
            assert told_by["backfill.cancelled"] == correlation


async def test_what_names_one_is_taken_at_its_word(running: Service) -> None:
    workflow_id, own = await begun(running, str(uuid4())), str(uuid4())
    async with running.client(**{"X-Correlation-ID": own}) as client:
        task = await claimed(client)
        await told(client, f"/tasks/{task['id']}/complete", leaseToken=task["leaseToken"], output={})
        await told(client, f"/workflows/{workflow_id}/pause")
        events = await correlations(client, f"/tasks/{task['id']}")
        assert {events["task.claimed"], events["task.completed"]} == {own}
        assert (await correlations(client, f"/workflows/{workflow_id}"))["workflow.paused"] == own
