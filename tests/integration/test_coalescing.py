"""Bursts of updates, and starts that may not overlap, on a real RabbitMQ."""

import asyncio
from typing import Any

import pytest

from domain.concurrency import concurrency_stream, group_of
from domain.definition import OPPORTUNITY_ANALYSIS
from tests.harness import OTHER_TENANT, TENANT, Service, eventually
from tests.integration.test_opportunity_analysis import REPLIES, reply
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

PATH = "/api/v1/workflows"
STARTED = "workflow.opportunity.analysis.started"
COMPLETED = "workflow.opportunity.analysis.completed"


async def burst(crm: Neighbour, opportunity: str = "opp-1", updates: int = 100) -> None:
    """That many updates of both types, as fast as they go."""
    integration = {"opportunityId": opportunity}
    shard = {"shardId": opportunity, "shardTypeName": "opportunity"}
    await asyncio.gather(
        *(
            crm.send("integration.opportunity.updated", integration)
            if number % 2
            else crm.send("shard.updated", shard)
            for number in range(updates)
        )
    )


async def taken_in(service: Service, crm: Neighbour) -> None:
    """Every message is handled, and whatever follows from it is done."""

    async def empty() -> bool:
        return await crm.queued(crm.names.queue) == 0

    await eventually(empty)
    await asyncio.sleep(0.3)
    await service.caught_up()


async def group_log(service: Service, opportunity: str = "opp-1") -> list[str]:
    """What the group of an opportunity has in the log."""
    stream = concurrency_stream(TENANT, group_of(OPPORTUNITY_ANALYSIS, opportunity, None))
    return [type(each.event).__name__ for each in await service.container.stores.event_store.load(stream)]


async def complete(crm: Neighbour, workflow_id: str) -> None:
    for reply_type in REPLIES:
        await reply(crm, workflow_id, reply_type)


async def test_a_hundred_updates_in_a_second_are_one_run_and_one_after_it(
    orchestrator: Service, crm: Neighbour
) -> None:
    await burst(crm)
    (first,) = await crm.expect(STARTED)
    await taken_in(orchestrator, crm)
    assert len(crm.messages(STARTED)) == 1
    assert await group_log(orchestrator) == ["StartGranted", "StartQueued"]

    await complete(crm, first["data"]["workflowId"])
    _, second = await crm.expect(STARTED, 2)
    await complete(crm, second["data"]["workflowId"])
    await crm.expect(COMPLETED, 2)
    await taken_in(orchestrator, crm)
    assert len(crm.messages(STARTED)) == 2
    assert await group_log(orchestrator) == [
        "StartGranted",
        "StartQueued",
        "RunEnded",
        "StartGranted",
        "RunEnded",
    ]


async def test_where_nothing_changes_during_a_run_none_follows_it(
    orchestrator: Service, crm: Neighbour
) -> None:
    await crm.send("shard.updated", {"shardId": "opp-1", "shardTypeName": "opportunity"})
    (started,) = await crm.expect(STARTED)
    await complete(crm, started["data"]["workflowId"])
    await crm.expect(COMPLETED)
    await taken_in(orchestrator, crm)
    assert len(crm.messages(STARTED)) == 1


async def test_bursts_of_other_opportunities_and_tenants_do_not_wait(
    orchestrator: Service, crm: Neighbour
) -> None:
    await burst(crm, "opp-1", 20)
    await burst(crm, "opp-2", 20)
    await crm.send("integration.opportunity.updated", {"opportunityId": "opp-1"}, tenant=OTHER_TENANT)
    started = await crm.expect(STARTED, 3)
    await taken_in(orchestrator, crm)
    assert len(crm.messages(STARTED)) == 3
    assert {(each["tenantId"], each["data"]["opportunityId"]) for each in started} == {
        (TENANT, "opp-1"),
        (TENANT, "opp-2"),
        (OTHER_TENANT, "opp-1"),
    }


async def test_a_second_start_by_rest_is_pending_until_the_first_has_ended(
    orchestrator: Service, crm: Neighbour
) -> None:
    first, second = await started_by_rest(orchestrator), await started_by_rest(orchestrator)
    assert (first["status"], second["status"]) == ("running", "pending")
    assert second["steps"] == []
    await orchestrator.caught_up()
    assert await statuses(orchestrator) == {
        first["workflowId"]: "running",
        second["workflowId"]: "pending",
    }
    async with orchestrator.client(OTHER_TENANT) as client:
        assert (await client.get(f"{PATH}/{second['workflowId']}")).status_code == 404
    async with orchestrator.client() as client:
        assert (await client.get(f"{PATH}/{second['workflowId']}/executions")).json()["total"] == 0

    await complete(crm, first["workflowId"])
    _, message = await crm.expect(STARTED, 2)
    assert message["data"]["workflowId"] == second["workflowId"]
    await orchestrator.caught_up()
    assert await statuses(orchestrator) == {
        first["workflowId"]: "completed",
        second["workflowId"]: "running",
    }


async def test_no_more_than_a_hundred_starts_by_rest_wait(orchestrator: Service, crm: Neighbour) -> None:
    for _ in range(101):
        await started_by_rest(orchestrator)
    async with orchestrator.client() as client:
        answer = await client.post(PATH, json={"opportunityId": "opp-1"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "TOO_MANY_WAITING"
    await started_by_rest(orchestrator, opportunityId="opp-2")
    async with orchestrator.client(OTHER_TENANT) as client:
        assert (await client.post(PATH, json={"opportunityId": "opp-1"})).json()["status"] == "running"


async def started_by_rest(service: Service, **body: Any) -> dict[str, Any]:
    """A workflow that was asked for by REST, as it was answered at once."""
    async with service.client() as client:
        answer = await client.post(PATH, json={"opportunityId": "opp-1", **body})
        assert answer.status_code == 202, answer.text
        workflow: dict[str, Any] = answer.json()
        found = await client.get(answer.headers["location"])
    assert found.json()["status"] == workflow["status"]
    return workflow


async def statuses(service: Service) -> dict[str, str]:
    async with service.client() as client:
        listed = (await client.get(PATH)).json()["workflows"]
    return {workflow["workflowId"]: workflow["status"] for workflow in listed}
