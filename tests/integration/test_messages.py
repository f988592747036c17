"""asyncapi.yaml on a real RabbitMQ: its examples come in, and every message that it describes goes out."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from application.audit.anchors import ANCHORED
from application.integration import NOTICES, PUBLISHED_TYPES
from domain.definition import WorkflowDefinition
from interfaces.definitions.reader import read_definition
from tests.contract.messages import MESSAGES, header_faults, payload_faults
from tests.harness import SYSTEM_TENANT, TENANT, USER, Service, eventually, service, settings_in
from tests.integration.conftest import is_connected
from tests.neighbours import Names, Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

OF_THE_EXAMPLES = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
"""The tenant that they speak of."""

OF_ANN, OF_NOBODY = 2 * 10**14, 5 * 10**14

POLICIES = f"""
tenants:
  "*":
    policies:
      of-ann:
        due: 2s
        stages:
          - name: ann
            approvers: [{{user: ann}}]
            remindAfter: [500ms]
            escalate: [{{after: 1s, to: [{{user: edna}}]}}]
      of-nobody: {{stages: [{{name: nobody, approvers: [{{group: nobody}}]}}]}}
    rules: [{{amountFrom: {OF_NOBODY}, policy: of-nobody}}, {{amountFrom: {OF_ANN}, policy: of-ann}}]
"""

CREDIT = "credit.check"
DEAL_CHECK: dict[str, Any] = {
    "name": "deal-check",
    "version": 1,
    "announcements": {
        "started": "deal.check.started",
        "completed": "deal.check.completed",
        "failed": "deal.check.failed",
    },
    "steps": [
        {
            "stepType": "credit",
            "parameters": {
                "request": f"{CREDIT}.requested",
                "replies": [{"type": f"{CREDIT}.completed"}, {"type": f"{CREDIT}.failed", "failed": True}],
            },
            "input": {"amount": "input.amount"},
            "critical": True,
            "compensation": {
                "parameters": {
                    "request": f"{CREDIT}.withdrawn",
                    "replies": [{"type": f"{CREDIT}.forgotten"}],
                }
            },
        },
        {
            "stepType": "calls",
            "kind": "map",
            "after": ["credit"],
            "critical": True,
            "map": {
                "over": "input.people",
                "each": {
                    "parameters": {
                        "request": "person.call.requested",
                        "replies": [
                            {"type": "person.call.completed", "result": {"said": "data.said"}},
                            {"type": "person.call.failed", "failed": True},
                        ],
                    },
                    "input": {"person": "item"},
                },
            },
        },
    ],
}
TAKEN = [f"{CREDIT}.completed", f"{CREDIT}.failed", f"{CREDIT}.forgotten"]
TAKEN += ["person.call.completed", "person.call.failed"]


@pytest.fixture
def definitions() -> Sequence[WorkflowDefinition]:
    """A tenant's, with all that a definition may add."""
    return [read_definition(DEAL_CHECK)]


@pytest.fixture
async def world(tmp_path: Path, rabbitmq_url: str, names: Names, crm: Neighbour) -> AsyncIterator[Service]:
    """The service, its queue bound to the replies that the definition takes."""
    overlay = names.overlay(message_types=TAKEN)
    async with service(settings_in(tmp_path, overlay=overlay, RABBITMQ_URL=rabbitmq_url)) as running:
        await is_connected(running)
        yield running


async def send_example(crm: Neighbour, name: str, **data: Any) -> None:
    """The first example of a message, with other data where they are given."""
    body = msgspec.json.decode(msgspec.json.encode(MESSAGES[name]["examples"][0]["payload"]))
    body["data"] |= data
    body["id"] = f"{name} of {sorted(data.items())}"
    await crm.send_raw(body["type"], msgspec.json.encode(body))


async def analysed(crm: Neighbour, opportunity: str, count: int) -> str:
    """Let an opportunity change; the id of the analysis that this starts, once its requests are out."""
    await send_example(crm, "OpportunityUpdated", opportunityId=opportunity)
    *_, started = await crm.expect("workflow.opportunity.analysis.started", count)
    await crm.expect("workflow.recommendation.requested", count)
    return str(started["data"]["workflowId"])


@pytest.fixture
def approvals_file() -> str:
    """Approvals whose time passes soon, and such as nobody can decide."""
    return POLICIES


async def approved(world: Service) -> None:
    """Approve what is pending."""
    async with world.client(OF_THE_EXAMPLES) as client:

        async def pending() -> Any:
            return (await client.get("/api/v1/hitl/approvals")).json()["approvals"]

        (approval,) = await eventually(pending)
        path = f"/api/v1/hitl/approvals/{approval['id']}/approve"
        answer = await client.post(path, json={"decidedBy": USER})
        assert answer.status_code == 200, answer.text


async def noticed(world: Service, crm: Neighbour) -> None:
    """Let an approval's time pass, be handed on, and one come that nobody can decide."""
    nobody = {"opportunityId": "opp-1", "riskScore": 1, "amount": OF_NOBODY}
    await crm.send("hitl.approval.requested", nobody, tenant=OF_THE_EXAMPLES)
    async with world.client(OF_THE_EXAMPLES, **{"X-User-ID": "ann"}) as client:
        asked = {"opportunityId": "opp-1", "riskScore": 1, "amount": OF_ANN, "recipientId": "ann"}
        made = await client.post("/api/v1/hitl/approvals", json=asked, headers={"X-User-ID": USER})
        assert made.status_code == 201, made.text
        to_bob = {"to": "bob", "reason": "away"}
        handed_on = await client.post(f"{made.headers['Location']}/reassign", json=to_bob)
        assert handed_on.status_code == 200, handed_on.text
    for notice in NOTICES.values():
        await crm.expect(notice)


async def test_the_examples_bring_about_every_message_of_the_contract(
    orchestrator: Service, crm: Neighbour
) -> None:
    workflow_id = await analysed(crm, "opp-1", 1)
    for name in ("RiskEvaluationCompleted", "RiskScoringCompleted", "ForecastCompleted"):
        await send_example(crm, name, workflowId=workflow_id)
    await send_example(crm, "RecommendationCompleted", workflowId=workflow_id)
    await crm.expect("workflow.opportunity.analysis.completed")

    workflow_id = await analysed(crm, "opp-2", 2)
    await send_example(crm, "RecommendationFailed", workflowId=workflow_id)
    await send_example(crm, "RiskEvaluationFailed", workflowId=workflow_id)
    await crm.expect("workflow.opportunity.analysis.failed")

    await send_example(crm, "ApprovalRequested")
    await approved(orchestrator)
    await crm.expect("hitl.approval.completed")
    await noticed(orchestrator, crm)

    async with orchestrator.client(SYSTEM_TENANT) as client:
        for count, reported in ((1, "JobCompleted"), (2, "JobFailed")):
            assert (await client.post("/api/v1/jobs/outcome-sync/trigger")).status_code == 202
            await crm.expect("workflow.job.trigger", count)
            await send_example(crm, reported)

        async def ended() -> bool:
            runs = (await client.get("/api/v1/jobs/outcome-sync/runs")).json()["runs"]
            return {run["status"] for run in runs} == {"completed", "failed"}

        await eventually(ended)

    ours = {message.type for message in crm.seen if message.app_id == "workflow-orchestrator"}
    assert ours == set(PUBLISHED_TYPES) - {ANCHORED}, "anchors need a key, and have a test of their own"
    assert await crm.queued(crm.names.dead_letter_queue) == 0


async def test_what_a_definition_adds_is_as_the_contract_says_of_any(world: Service, crm: Neighbour) -> None:
    async with world.client() as client:
        published = await client.post("/api/v1/workflow-definitions", json=DEAL_CHECK)
        assert published.status_code == 201, published.text
        for people in (["ann"], ["bob"]):
            body = {"definition": "deal-check", "input": {"amount": 5, "people": people}}
            assert (await client.post("/api/v1/workflows", json=body)).status_code == 202
    good, bad = await crm.expect(f"{CREDIT}.requested", 2)
    for request in (good, bad):
        assert request["data"]["amount"] == 5
        await crm.send(f"{CREDIT}.completed", {"workflowId": request["data"]["workflowId"], "score": 80})
    for call in await crm.expect("person.call.requested", 2):
        asked = {name: call["data"][name] for name in ("workflowId", "stepId")}
        if call["data"]["person"] == "ann":
            await crm.send("person.call.completed", {**asked, "said": "yes"})
        else:
            await crm.send("person.call.failed", {**asked, "error": "nobody there"})
    (undo,) = await crm.expect(f"{CREDIT}.withdrawn")
    await crm.send(f"{CREDIT}.forgotten", {"workflowId": undo["data"]["workflowId"]})

    steps = [each["data"]["stepType"] for each in await crm.expect("workflow.step.completed", 5)]
    assert sorted(steps) == ["calls", "calls[0]", "credit", "credit", "credit.compensation"]
    for message_type, name, count in (
        (f"{CREDIT}.requested", "StepRequested", 2),
        ("person.call.requested", "StepRequested", 2),
        (f"{CREDIT}.withdrawn", "StepRequested", 1),
        ("workflow.step.completed", "StepCompleted", 5),
        ("deal.check.started", "WorkflowStarted", 2),
        ("deal.check.completed", "WorkflowCompleted", 1),
        ("deal.check.failed", "WorkflowFailed", 1),
    ):
        bodies = await crm.expect(message_type, count)
        assert len(bodies) == count
        assert [payload_faults(name, body) for body in bodies] == [[]] * count
    assert {body["tenantId"] for body in crm.messages()} == {TENANT}


async def test_what_cannot_be_read_is_parked_as_the_contract_says(
    orchestrator: Service, crm: Neighbour
) -> None:
    (example,) = MESSAGES["Parked"]["examples"]
    expected = example["headers"] | {"x-original-queue": crm.names.queue}
    await crm.send_raw(
        expected["x-original-routing-key"],
        example["payload"].encode(),
        message_id=expected["x-original-message-id"],
    )
    parked = await crm.take(crm.names.dead_letter_queue)
    assert parked.body == example["payload"].encode()
    assert parked.headers == expected
    assert header_faults("Parked", parked.headers) == []
    assert (parked.content_type, parked.type, parked.app_id) == (None, None, "workflow-orchestrator")
