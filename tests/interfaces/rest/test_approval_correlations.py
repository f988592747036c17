"""What is done with an approval belongs to what the approval belongs to, unless the request names a thing."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.harness import Service, service_process

pytestmark = pytest.mark.anyio

PATH = "/api/v1/hitl/approvals"
DEAL = {"opportunityId": "o", "riskScore": 1, "amount": 2}
ADA = {"X-User-ID": "ada"}


async def asked(service: Service, correlation: str) -> str:
    """An approval of a correlation."""
    async with service.client(**{"X-User-ID": "rita", "X-Correlation-ID": correlation}) as client:
        return str((await client.post(PATH, json=DEAL)).json()["id"])


async def correlations(service: Service, approval_id: str) -> dict[str, str]:
    """What each event of an approval belongs to, by its type."""
    async with service.client() as client:
        events = (await client.get(f"{PATH}/{approval_id}/events")).json()["events"]
    return {each["type"]: each["correlationId"] for each in events}


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}, {"X-Correlation-ID": "no uuid"}])
async def test_what_names_no_correlation_belongs_to_what_the_approval_belongs_to(
    behind_gateway: Service, headers: dict[str, str]
) -> None:
    correlation = str(uuid4())
    approval_id = await asked(behind_gateway, correlation)
    orders: list[tuple[str, dict[str, Any]]] = [
        ("claim", {}),
        ("comments", {"text": "hm"}),
        ("release", {}),
        ("reassign", {"to": "bob", "reason": "away"}),
        ("approve", {"decidedBy": "ada"}),
    ]
    async with behind_gateway.client(**ADA, **headers) as client:
        for order, body in orders:
            answer = await client.post(f"{PATH}/{approval_id}/{order}", json=body)
            assert answer.status_code in {200, 201}, answer.text
    told = await correlations(behind_gateway, approval_id)
    assert len(told) == 1 + len(orders)
    assert set(told.values()) == {correlation}


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
async def test_each_of_several_decisions_belongs_to_what_its_own_approval_belongs_to(
    behind_gateway: Service, headers: dict[str, str]
) -> None:
    approvals = {await asked(behind_gateway, each): each for each in (str(uuid4()), str(uuid4()))}
    decisions = [{"approvalId": id, "decision": "reject", "decidedBy": "ada"} for id in approvals]
    async with behind_gateway.client(**ADA, **headers) as client:
        answer = await client.post(f"{PATH}/decisions", json={"decisions": decisions})
    assert [each["status"] for each in answer.json()["outcomes"]] == [200, 200]
    for approval_id, correlation in approvals.items():
        assert set((await correlations(behind_gateway, approval_id)).values()) == {correlation}


async def test_what_names_one_is_taken_at_its_word(behind_gateway: Service) -> None:
    approval_id, own = await asked(behind_gateway, str(uuid4())), str(uuid4())
    another = await asked(behind_gateway, str(uuid4()))
    async with behind_gateway.client(**ADA, **{"X-Correlation-ID": own}) as client:
        answer = await client.post(f"{PATH}/{approval_id}/approve", json={"decidedBy": "ada"})
        assert answer.status_code == 200
        decision = {"approvalId": another, "decision": "approve", "decidedBy": "ada"}
        await client.post(f"{PATH}/decisions", json={"decisions": [decision]})
    for each in (approval_id, another):
        assert (await correlations(behind_gateway, each))["approval.approved"] == own


def test_the_line_of_the_request_in_the_log_tells_it_too(tmp_path: Path) -> None:
    correlation = str(uuid4())
    with service_process(tmp_path) as process, process.client() as client:
        asking = {"X-User-ID": "rita", "X-Correlation-ID": correlation}
        approval_id = client.post(PATH, json=DEAL, headers=asking).json()["id"]
        path = f"{PATH}/{approval_id}/approve"
        assert client.post(path, json={"decidedBy": "ada"}, headers=ADA).status_code == 200
        assert client.get(f"{PATH}/{approval_id}").status_code == 200
        process.terminate()
        told = [json.loads(line) for line in process.log.splitlines()]
    requests = [each for each in told if each.get("event") == "request" and "approvals" in each["route"]]
    assert [each["correlation_id"] == correlation for each in requests] == [True, True, False]
