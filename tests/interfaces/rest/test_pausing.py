"""A workflow is paused with a reason or without one."""

from typing import Any

import pytest

from tests.contract.contract import operations, validate_answer
from tests.harness import Service

pytestmark = pytest.mark.anyio

OPERATIONS = {each.id: each for each in operations()}


@pytest.mark.parametrize("body", [None, {}])
async def test_a_workflow_is_paused_without_saying_why(
    behind_gateway: Service, body: dict[str, Any] | None
) -> None:
    async with behind_gateway.client(**{"X-User-ID": "ada"}) as client:
        started = await client.post("/api/v1/workflows", json={"opportunityId": "opp-1"})
        path = started.headers["location"]
        paused = await client.post(f"{path}/pause", json=body)
        validate_answer(OPERATIONS["pauseWorkflow"], paused)
        assert paused.status_code == 200, paused.text
        assert paused.json()["status"] == "paused"
        assert "reason" not in paused.json()
        read = await client.get(path, headers={"X-Min-Position": paused.headers["x-position"]})
        assert read.json() == paused.json()
        (newest, *_) = (await client.get(f"{path}/events")).json()["events"]
        assert (newest["type"], newest["actor"]) == ("workflow.paused", "ada")
        assert (await client.post(f"{path}/resume")).json()["status"] == "running"
        with_one = await client.post(f"{path}/pause", json={"reason": "the figures are checked"})
    assert with_one.json()["reason"] == "the figures are checked"


async def test_an_empty_reason_is_none_that_can_be_given(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        started = await client.post("/api/v1/workflows", json={"opportunityId": "opp-1"})
        refused = await client.post(f"{started.headers['location']}/pause", json={"reason": ""})
    validate_answer(OPERATIONS["pauseWorkflow"], refused)
    assert [each["field"] for each in refused.json()["error"]["details"]] == ["reason"]
