"""UUIDs have no case: whatever takes one takes it in either, and tells it in lower case."""

import json
from typing import Any

import httpx
import pytest

from tests.harness import OTHER_TENANT, SYSTEM_TENANT, Service, eventually

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
AUDIT = "/api/v1/audit"
CORRELATION = "f3067091-5a69-4788-9c0d-1e2f3a4b5c6d"
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}


@pytest.fixture
async def asked(behind_gateway: Service) -> httpx.Response:
    """An approval that was asked for under a correlation id in upper case."""
    async with behind_gateway.client() as client:
        return await client.post(APPROVALS, json=DEAL, headers={"X-Correlation-ID": CORRELATION.upper()})


async def answer(client: httpx.AsyncClient, path: str, made: httpx.Response, **query: str) -> Any:
    """What is told once the index has what was made."""
    headers = {"X-Min-Position": made.headers["x-position"]}
    told = await client.get(f"{AUDIT}/{path}", params=query, headers=headers)
    assert told.status_code == 200, told.text
    return told


@pytest.mark.parametrize("in_case", [str.lower, str.upper])
async def test_the_audit_trail_is_asked_in_either_case(
    behind_gateway: Service, asked: httpx.Response, in_case: Any
) -> None:
    id, correlation_id = in_case(asked.json()["id"]), in_case(CORRELATION)
    async with behind_gateway.client() as client:
        for query in ({"correlationId": correlation_id}, {"aggregateId": id}):
            (event,) = (await answer(client, "events", asked, **query)).json()["events"]
            assert event["correlationId"] == CORRELATION
            assert event["aggregateId"] == asked.json()["id"]
            export = (await answer(client, "export", asked, **query)).text.splitlines()
            assert [json.loads(line)["kind"] for line in export] == ["header", "event", "head"]
        tree = (await answer(client, f"correlations/{correlation_id}", asked)).json()
        assert (tree["correlationId"], tree["total"]) == (CORRELATION, 1)
    async with behind_gateway.client(OTHER_TENANT) as another:
        for query in ({"correlationId": correlation_id}, {"aggregateId": id}):
            assert (await answer(another, "events", asked, **query)).json()["total"] == 0
            export = (await answer(another, "export", asked, **query)).text.splitlines()
            assert [json.loads(line)["kind"] for line in export] == ["header", "head"]
        assert (await another.get(f"{AUDIT}/correlations/{correlation_id}")).status_code == 404


async def test_runs_are_filtered_by_a_backfills_id_in_either_case(behind_gateway: Service) -> None:
    job = "/api/v1/jobs/risk-snapshot-backfill"
    async with behind_gateway.client(SYSTEM_TENANT) as client:
        made = await client.post(f"{job}/backfills", json={"from": "2026-01-01", "to": "2026-01-02"})
        backfill_id = made.json()["id"]

        async def listed() -> list[Any]:
            await behind_gateway.caught_up()
            query = {"backfillId": backfill_id.upper()}
            runs: list[Any] = (await client.get(f"{job}/runs", params=query)).json()["runs"]
            return runs

        (run,) = await eventually(listed, seconds=5)
    assert run["backfillId"] == backfill_id


async def test_a_workflow_is_tried_again_from_a_step_by_its_id_in_either_case(
    behind_gateway: Service,
) -> None:
    async with behind_gateway.client() as client:
        started = await client.post("/api/v1/workflows", json={"opportunityId": "opp-1"})
        path = started.headers["location"]
        (step_id,) = (each["stepId"] for each in started.json()["steps"] if each["stepType"] == "forecast")
        await client.post(f"{path}/cancel", json={"reason": "moot"})
        again = await client.post(f"{path}/retry", json={"fromStep": step_id.upper()})
    assert again.status_code == 200, again.text
    assert "forecast" in again.json()["message"]
