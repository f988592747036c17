"""A neighbour's queue that is full and rejects what comes: its messages wait, and nobody else's."""

from typing import Any

import pytest
from pamqp.common import FieldTable

from tests.harness import OTHER_TENANT, SYSTEM_TENANT, TENANT, Service, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

DECIDED = "hitl.approval.completed"


async def decided(service: Service, tenant: str) -> str:
    """An approval that somebody approved; its id."""
    async with service.client(tenant, **{"X-User-ID": "bob"}) as client:
        asked = {"opportunityId": f"of {tenant}", "riskScore": 1, "amount": 1}
        approval_id = str((await client.post("/api/v1/hitl/approvals", json=asked)).json()["id"])
        answer = await client.post(
            f"/api/v1/hitl/approvals/{approval_id}/approve",
            json={"decidedBy": "ada"},
            headers={"X-User-ID": "ada"},
        )
        assert answer.status_code == 200, answer.text
    return approval_id


async def outbox(service: Service) -> dict[str, Any]:
    """What /ready tells of it."""
    async with service.client(None) as client:
        followers = (await client.get("/ready")).json()["checks"]["followers"]
    told: dict[str, Any] = next(each for each in followers if each["name"] == "outbox")
    return told


def told_of(crm: Neighbour, approval_id: str) -> int:
    """How often a neighbour was told of a decision."""
    return sum(each["data"]["approvalId"] == approval_id for each in crm.messages(DECIDED))


async def test_a_full_queue_keeps_its_own_messages_waiting_and_no_others(
    orchestrator: Service, crm: Neighbour
) -> None:
    limits: FieldTable = {"x-max-length": 1, "x-overflow": "reject-publish"}
    full = await crm.channel.declare_queue(f"{crm.names.queue}.full", durable=True, arguments=limits)
    try:
        await full.bind(crm.exchange, DECIDED)
        await decided(orchestrator, TENANT)
        waiting = [await decided(orchestrator, TENANT), await decided(orchestrator, OTHER_TENANT)]

        async def is_told() -> bool:
            return bool((await outbox(orchestrator))["status"] == "failing")

        await eventually(is_told)
        async with orchestrator.client(SYSTEM_TENANT) as client:
            assert (await client.post("/api/v1/jobs/outcome-sync/trigger")).status_code == 202
        await crm.expect("workflow.job.trigger", seconds=30)
        told = await outbox(orchestrator)
        assert "a queue that hitl.approval.completed goes to is full" in told["error"]
        assert all(1 <= told_of(crm, each) <= 3 for each in waiting), "the others have it, and not too often"
        await full.delete(if_unused=False, if_empty=False)

        async def is_well() -> bool:
            return bool((await outbox(orchestrator))["status"] == "running")

        await eventually(is_well, seconds=60)
        assert (await outbox(orchestrator))["lagSeconds"] == 0
    finally:
        await crm.channel.queue_delete(f"{crm.names.queue}.full")
