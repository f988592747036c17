"""``/workflows/{workflowId}/progress``: how far a workflow is, and what past runs say of the rest."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from application.workflow_commands import CompleteStep, FailStep, RetryWorkflow
from interfaces.rest.progress import PastRuns
from projections.workflows import Workflows
from tests.builders import metadata
from tests.contract.contract import validate_document
from tests.harness import OTHER_TENANT, TENANT, UNKNOWN_ID, Service
from tests.interfaces.slow_documents import HeldQueries

pytestmark = pytest.mark.anyio

WORKFLOWS = "/api/v1/workflows"
STEPS = ("risk_analysis", "risk_scoring", "forecast", "recommendation")


async def started(client: httpx.AsyncClient) -> str:
    """A new workflow; its id."""
    answer = await client.post(WORKFLOWS, json={"opportunityId": f"opp-{uuid4()}"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["workflowId"])


async def answered(running: Service, workflow_id: str, *steps: str, tenant: str = TENANT) -> str:
    """The steps' answers come; the position after them."""
    position = ""
    for step in steps:
        committed = await running.container.dispatch(
            CompleteStep(meta=metadata(tenant=tenant), workflow_id=workflow_id, step=step, result={})
        )
        assert committed.new
        position = committed.position
    return position


async def progress_of(client: httpx.AsyncClient, workflow_id: str, **headers: str) -> dict[str, Any]:
    """What the route answers, held against the contract."""
    answer = await client.get(f"{WORKFLOWS}/{workflow_id}/progress", headers=headers)
    assert answer.status_code == 200, answer.text
    validate_document("WorkflowProgress", answer.json())
    progress: dict[str, Any] = answer.json()
    return progress


async def test_the_progress_grows_with_the_steps_that_have_ended(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        workflow_id = await started(client)
        for done, step in enumerate(STEPS):
            progress = await progress_of(client, workflow_id)
            assert progress["percent"] == 25 * done
            assert progress["current"] == list(STEPS[done:])
            assert (progress["steps"]["completed"], progress["steps"]["total"]) == (done, 4)
            assert progress["status"] == "running"
            position = await answered(behind_gateway, workflow_id, step)
            await progress_of(client, workflow_id, **{"X-Min-Position": position})
        progress = await progress_of(client, workflow_id)
    assert (progress["percent"], progress["status"], progress["current"]) == (100, "completed", [])
    assert progress["completedAt"] >= progress["startedAt"]


async def test_what_has_just_been_started_has_a_progress_at_once(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        for _ in range(20):
            assert (await progress_of(client, await started(client)))["percent"] == 0


@pytest.mark.parametrize("path", ["nonsense", UNKNOWN_ID])
async def test_what_is_not_there_has_none(behind_gateway: Service, path: str) -> None:
    async with behind_gateway.client() as client:
        answer = await client.get(f"{WORKFLOWS}/{path}/progress")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "WORKFLOW_NOT_FOUND"


async def test_another_tenants_workflow_has_none(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client, behind_gateway.client(OTHER_TENANT) as other:
        workflow_id = await started(client)
        await behind_gateway.caught_up()
        assert (await other.get(f"{WORKFLOWS}/{workflow_id}/progress")).status_code == 404
        assert (await client.get(f"{WORKFLOWS}/{workflow_id.upper()}/progress")).status_code == 200


async def test_a_query_is_refused(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        answer = await client.get(f"{WORKFLOWS}/{await started(client)}/progress?asOf=1")
    assert answer.status_code == 400


@pytest.fixture
def past_runs_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a service that is made afterwards."""
    monkeypatch.setattr(PastRuns, "KEPT_SECONDS", 0.0)


@pytest.mark.usefixtures("past_runs_are_not_kept")
async def test_the_rest_is_estimated_by_three_runs_of_the_tenants_own(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client, behind_gateway.client(OTHER_TENANT) as other:
        for _ in range(2):
            await answered(behind_gateway, await started(client), *STEPS)
        await answered(behind_gateway, await started(other), *STEPS, tenant=OTHER_TENANT)
        retried = await started(client)
        dispatch = behind_gateway.container.dispatch
        await dispatch(FailStep(meta=metadata(), workflow_id=retried, step="forecast", error="no"))
        await dispatch(RetryWorkflow(meta=metadata(), workflow_id=retried))
        await behind_gateway.caught_up()
        assert "estimatedRemainingMs" not in await progress_of(client, retried)
        await answered(behind_gateway, retried, *STEPS)
        await behind_gateway.caught_up()

        watched = await started(client)
        assert "estimatedRemainingMs" not in await progress_of(client, watched)
        await answered(behind_gateway, await started(client), *STEPS)
        await behind_gateway.caught_up()
        assert (await progress_of(client, watched))["estimatedRemainingMs"] >= 0


async def test_one_tenants_past_runs_are_told_while_anothers_are_looked_up() -> None:
    documents = HeldQueries(OTHER_TENANT)
    past_runs = PastRuns(
        documents,  # type: ignore[arg-type]
        Workflows().container,
    )
    slow = asyncio.create_task(past_runs.typical(OTHER_TENANT, "d", 1))
    await documents.is_asked.wait()
    async with asyncio.timeout(2):
        assert await past_runs.typical(TENANT, "d", 1) is None
    assert not slow.done()
    documents.released.set()
    assert await slow is None
