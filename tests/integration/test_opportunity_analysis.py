"""The built-in workflow over RabbitMQ, as the neighbours see it."""

import random
from typing import Any
from uuid import uuid4

import pytest

from tests.harness import OTHER_TENANT, TENANT, Service, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

REQUESTS = {
    "workflow.risk.analysis.requested",
    "workflow.risk.scoring.requested",
    "workflow.forecast.requested",
    "workflow.recommendation.requested",
}

REPLIES: dict[str, dict[str, Any]] = {
    "risk.evaluation.completed": {"evaluationId": "e1", "riskScore": 0.8, "detectedRisks": ["stalled"]},
    "risk.scoring.completed": {"scoringId": "s1", "mlRiskScore": 0.7, "modelId": "m1", "confidence": 0.9},
    "forecast.completed": {"forecastId": "f1", "revenueForecast": 125000, "confidence": 0.6},
    "recommendation.generation.completed": {
        "recommendationId": "r1",
        "recommendations": [{"action": "call"}, {"action": "write"}],
    },
}


async def started(crm: Neighbour, opportunity: str = "opp-1") -> str:
    """Let the CRM change an opportunity; the id of the workflow that this starts."""
    await crm.send("integration.opportunity.updated", {"opportunityId": opportunity})
    (message,) = await crm.expect("workflow.opportunity.analysis.started")
    workflow_id: str = message["data"]["workflowId"]
    await crm.expect("workflow.recommendation.requested")
    return workflow_id


async def reply(crm: Neighbour, workflow_id: str, reply_type: str, **more: Any) -> str:
    """Answer a step, echoing nothing but the workflow's id."""
    return await crm.send(reply_type, {"workflowId": workflow_id, **REPLIES.get(reply_type, {}), **more})


async def workflow_with(service: Service, workflow_id: str, status: str) -> dict[str, Any]:
    """The workflow's document, once it has that status."""
    async with service.client() as client:

        async def there() -> dict[str, Any] | None:
            answer = await client.get(f"/api/v1/workflows/{workflow_id}")
            body: dict[str, Any] = answer.json()
            return body if body.get("status") == status else None

        found: dict[str, Any] = await eventually(there)
        return found


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("integration.opportunity.updated", {"opportunityId": "opp-7", "syncTaskId": "t"}),
        ("shard.updated", {"shardId": "opp-7", "shardTypeName": "opportunity"}),
        ("shard.updated", {"id": "opp-7", "shardType": "c_opportunity"}),
    ],
)
async def test_the_four_requests_go_out_for_a_changed_opportunity(
    orchestrator: Service, crm: Neighbour, event_type: str, data: dict[str, Any]
) -> None:
    correlation = str(uuid4())
    message_id = await crm.send(event_type, data, metadata={"correlationId": correlation})
    await crm.expect("workflow.recommendation.requested")

    messages = crm.messages()
    assert messages[0]["type"] == "workflow.opportunity.analysis.started"
    assert {message["type"] for message in messages[1:]} == REQUESTS
    assert len(messages) == 5
    workflow_ids = {message["data"]["workflowId"] for message in messages}
    assert len(workflow_ids) == 1
    assert {message["data"]["opportunityId"] for message in messages} == {"opp-7"}
    assert {message["tenantId"] for message in messages} == {TENANT}
    assert {message["metadata"]["correlationId"] for message in messages} == {correlation}
    assert {message["metadata"]["causationId"] for message in messages} == {message_id}
    assert len({message["data"]["stepId"] for message in messages[1:]}) == 4


async def test_a_shard_of_another_type_starts_nothing(orchestrator: Service, crm: Neighbour) -> None:
    await crm.send("shard.updated", {"shardId": "doc-1", "shardTypeName": "document"})
    await crm.send("shard.updated", {"shardId": "opp-1", "shardTypeName": "opportunity"})
    (message,) = await crm.expect("workflow.opportunity.analysis.started")
    assert message["data"]["opportunityId"] == "opp-1"
    assert await crm.queued(crm.names.dead_letter_queue) == 0


@pytest.mark.parametrize("seed", range(4))
async def test_replies_in_any_order_complete_it(orchestrator: Service, crm: Neighbour, seed: int) -> None:
    workflow_id = await started(crm)
    order = random.Random(seed).sample(sorted(REPLIES), k=4)
    for reply_type in order:
        await reply(crm, workflow_id, reply_type)

    (completed,) = await crm.expect("workflow.opportunity.analysis.completed")
    assert completed["data"]["results"] == {
        "risk": REPLIES["risk.evaluation.completed"],
        "scoring": REPLIES["risk.scoring.completed"],
        "forecast": REPLIES["forecast.completed"],
        "recommendations": {**REPLIES["recommendation.generation.completed"], "count": 2},
    }
    assert len(await crm.expect("workflow.step.completed", 4)) == 4
    document = await workflow_with(orchestrator, workflow_id, "completed")
    assert document["results"] == completed["data"]["results"]
    assert {step["status"] for step in document["steps"]} == {"completed"}


async def test_a_failed_critical_step_fails_it_at_once(orchestrator: Service, crm: Neighbour) -> None:
    workflow_id = await started(crm)
    await reply(crm, workflow_id, "risk.evaluation.failed", error="no data")

    (failed,) = await crm.expect("workflow.opportunity.analysis.failed")
    assert failed["data"] == {
        "workflowId": workflow_id,
        "opportunityId": "opp-1",
        "error": "no data",
        "failedStep": "risk_analysis",
    }
    document = await workflow_with(orchestrator, workflow_id, "failed")
    assert document["failedStep"] == "risk_analysis"


async def test_a_failed_other_step_leaves_its_result_out(orchestrator: Service, crm: Neighbour) -> None:
    workflow_id = await started(crm)
    await reply(crm, workflow_id, "recommendation.generation.failed", error={"message": "timeout"})
    for reply_type in ("risk.evaluation.completed", "risk.scoring.completed", "forecast.completed"):
        await reply(crm, workflow_id, reply_type)

    (completed,) = await crm.expect("workflow.opportunity.analysis.completed")
    assert set(completed["data"]["results"]) == {"risk", "scoring", "forecast"}
    assert crm.messages("workflow.opportunity.analysis.failed") == []


async def test_retry_sends_only_what_failed(orchestrator: Service, crm: Neighbour) -> None:
    workflow_id = await started(crm)
    await reply(crm, workflow_id, "forecast.completed")
    await reply(crm, workflow_id, "risk.scoring.completed")
    failure_id = await reply(crm, workflow_id, "risk.evaluation.failed", error="no data")
    await reply(crm, workflow_id, "recommendation.generation.completed")
    await crm.expect("workflow.step.completed", 3)
    await crm.expect("workflow.opportunity.analysis.failed")
    before = len(crm.messages())

    async with orchestrator.client() as client:
        answer = await client.post(f"/api/v1/workflows/{workflow_id}/retry")
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "running"
    await crm.expect("workflow.risk.analysis.requested", 2)
    assert [message["type"] for message in crm.messages()[before:]] == ["workflow.risk.analysis.requested"]

    again = {"workflowId": workflow_id, "error": "no data"}
    await crm.send("risk.evaluation.failed", again, message_id=failure_id)
    await reply(crm, workflow_id, "risk.evaluation.completed")
    (completed,) = await crm.expect("workflow.opportunity.analysis.completed")
    assert set(completed["data"]["results"]) == {"risk", "scoring", "forecast", "recommendations"}
    assert len(crm.messages("workflow.opportunity.analysis.failed")) == 1

    await orchestrator.caught_up()
    async with orchestrator.client() as client:
        executions = (await client.get(f"/api/v1/workflows/{workflow_id}/executions")).json()
    assert [each["status"] for each in executions["executions"]] == ["completed", "failed"]
    assert [each["attempt"] for each in executions["executions"]] == [2, 1]


async def test_a_message_delivered_twice_has_one_effect(orchestrator: Service, crm: Neighbour) -> None:
    message_id = str(uuid4())
    for _ in range(3):
        await crm.send("integration.opportunity.updated", {"opportunityId": "opp-1"}, message_id=message_id)
    (message,) = await crm.expect("workflow.opportunity.analysis.started")
    workflow_id = message["data"]["workflowId"]
    reply_id = str(uuid4())
    data = {"workflowId": workflow_id, **REPLIES["forecast.completed"]}
    for _ in range(3):
        await crm.send("forecast.completed", data, message_id=reply_id)
    for reply_type in ("risk.evaluation.completed", "risk.scoring.completed"):
        await reply(crm, workflow_id, reply_type)
    await reply(crm, workflow_id, "recommendation.generation.completed")

    await crm.expect("workflow.opportunity.analysis.completed")
    assert len(crm.messages("workflow.opportunity.analysis.started")) == 1
    assert len(crm.messages("workflow.step.completed")) == 4
    assert len(crm.messages()) == 10


async def test_a_reply_of_another_tenant_does_not_reach_a_workflow(
    orchestrator: Service, crm: Neighbour
) -> None:
    workflow_id = await started(crm)
    data = {"workflowId": workflow_id, **REPLIES["forecast.completed"]}
    await crm.send("forecast.completed", data, tenant=OTHER_TENANT)
    await reply(crm, workflow_id, "risk.scoring.completed")
    (completed,) = await crm.expect("workflow.step.completed")
    assert completed["data"]["stepType"] == "risk_scoring"
    assert await crm.queued(crm.names.dead_letter_queue) == 0


async def test_what_comes_of_replies_that_name_no_correlation_belongs_to_what_the_change_belonged_to(
    orchestrator: Service, crm: Neighbour
) -> None:
    correlation, own = str(uuid4()), str(uuid4())
    changed = {"opportunityId": "opp-1", "correlationId": correlation}
    await crm.send("integration.opportunity.updated", changed)
    (message,) = await crm.expect("workflow.opportunity.analysis.started")
    workflow_id = message["data"]["workflowId"]
    await crm.expect("workflow.recommendation.requested")
    named, *silent = REPLIES
    await crm.send(named, {"workflowId": workflow_id, **REPLIES[named]}, metadata={"correlationId": own})
    for reply_type in silent:
        await reply(crm, workflow_id, reply_type)
    await crm.expect("workflow.opportunity.analysis.completed")
    told = [
        (message["type"], message["metadata"]["correlationId"])
        for message in crm.messages()
        if message["data"].get("workflowId") == workflow_id
    ]
    assert [each for _, each in told].count(own) == 1, "a reply that names one is taken at its word"
    assert {each for _, each in told} == {correlation, own}
    assert ("workflow.opportunity.analysis.completed", correlation) in told
