"""What people order of a workflow over REST, beside neighbours on RabbitMQ."""

from typing import Any

import pytest

from tests.harness import OTHER_TENANT, UNKNOWN_ID, USER, Service, eventually
from tests.integration.test_workflow_routes import PATH, started
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]


ANSWERS: dict[str, dict[str, Any]] = {
    "risk.evaluation.completed": {"evaluationId": "e", "riskScore": 0.5, "detectedRisks": []},
    "risk.scoring.completed": {"scoringId": "s", "mlRiskScore": 0.5, "modelId": "m", "confidence": 0.5},
    "forecast.completed": {"forecastId": "f", "revenueForecast": 5, "confidence": 0.5},
    "recommendation.generation.completed": {"recommendationId": "r", "recommendations": []},
}


async def order(
    service: Service, workflow: dict[str, Any], what: str, body: Any = None, **headers: str
) -> Any:
    """What an order is answered with."""
    async with service.client(**{"X-User-ID": USER, **headers}) as client:
        return await client.post(f"{PATH}/{workflow['workflowId']}/{what}", json=body or {})


def step_of(workflow: dict[str, Any], step_type: str) -> dict[str, Any]:
    """One of its steps."""
    (step,) = [step for step in workflow["steps"] if step["stepType"] == step_type]
    return dict(step)


async def has_failed(service: Service, workflow: dict[str, Any], step_type: str) -> None:
    """Wait until a step of it has."""

    async def is_so() -> bool:
        async with service.client() as client:
            now = (await client.get(f"{PATH}/{workflow['workflowId']}")).json()
        return bool(step_of(now, step_type)["status"] == "failed")

    await eventually(is_so)


async def test_a_workflow_is_cancelled_and_says_by_whom_and_why(orchestrator: Service) -> None:
    workflow = await started(orchestrator)
    answer = await order(orchestrator, workflow, "cancel", {"reason": "the deal is off"})
    assert answer.status_code == 200, answer.text
    cancelled = answer.json()
    assert (cancelled["status"], cancelled["reason"]) == ("cancelled", "the deal is off")
    assert {step["status"] for step in cancelled["steps"]} == {"cancelled"}
    await orchestrator.caught_up()
    async with orchestrator.client() as client:
        assert (await client.get(f"{PATH}/{workflow['workflowId']}")).json() == cancelled
        assert (await client.get(PATH, params={"status": "cancelled"})).json()["total"] == 1
        (newest, *_) = (await client.get(f"{PATH}/{workflow['workflowId']}/events")).json()["events"]
    assert (newest["type"], newest["actor"]) == ("workflow.cancelled", USER)
    refused = await order(orchestrator, workflow, "pause", {"reason": "x"})
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "WORKFLOW_NOT_RUNNING"
    retried = await order(orchestrator, workflow, "retry")
    assert (retried.status_code, retried.json()["status"]) == (200, "running")


async def test_a_paused_workflow_keeps_its_answers_and_ends_when_it_is_resumed(
    orchestrator: Service, crm: Neighbour
) -> None:
    workflow = await started(orchestrator)
    paused = await order(orchestrator, workflow, "pause", {"reason": "audit"})
    assert paused.json()["status"] == "paused"
    for message_type, result in ANSWERS.items():
        await crm.send(message_type, {"workflowId": workflow["workflowId"], **result})
    await crm.expect("workflow.step.completed", count=4)
    await orchestrator.caught_up()
    async with orchestrator.client() as client:
        waiting = (await client.get(f"{PATH}/{workflow['workflowId']}")).json()
    assert waiting["status"] == "paused"
    assert {step["status"] for step in waiting["steps"]} == {"completed"}
    resumed = await order(orchestrator, workflow, "resume")
    assert resumed.json()["status"] == "completed"
    assert "reason" not in resumed.json()


async def test_a_step_is_skipped_completed_by_hand_and_tried_again(
    orchestrator: Service, crm: Neighbour
) -> None:
    workflow = await started(orchestrator)
    for step_type, what, body in (
        ("risk_scoring", "skip", {"reason": "known"}),
        ("forecast", "complete", {"result": {"revenueForecast": 5}}),
    ):
        step = step_of(workflow, step_type)
        answer = await order(orchestrator, workflow, f"steps/{step['stepId']}/{what}", body)
        assert answer.status_code == 200, answer.text
    after = answer.json()
    assert (step_of(after, "risk_scoring")["status"], step_of(after, "risk_scoring")["reason"]) == (
        "skipped",
        "known",
    )
    assert step_of(after, "forecast")["result"] == {"revenueForecast": 5}
    error = {"workflowId": workflow["workflowId"], "error": "no data"}
    await crm.send("recommendation.generation.failed", error)
    step = step_of(workflow, "recommendation")
    await has_failed(orchestrator, workflow, "recommendation")
    answer = await order(orchestrator, workflow, f"steps/{step['stepId']}/retry")
    assert step_of(answer.json(), "recommendation")["attempt"] == 2
    again = await order(orchestrator, workflow, f"steps/{step['stepId']}/retry")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "STEP_NOT_OPEN")


async def test_a_retry_from_a_step_takes_other_input(orchestrator: Service) -> None:
    workflow = await started(orchestrator, input={"amount": 1})
    await order(orchestrator, workflow, "cancel", {"reason": "wrong amount"})
    answer = await order(orchestrator, workflow, "retry", {"fromStep": "forecast", "input": {"amount": 2}})
    assert answer.status_code == 200
    async with orchestrator.client() as client:
        await orchestrator.caught_up()
        retried = (await client.get(f"{PATH}/{workflow['workflowId']}")).json()
    assert retried["input"] == {"amount": 2}
    assert step_of(retried, "forecast")["status"] == "running"
    unknown = await order(orchestrator, workflow, "retry", {"fromStep": "nothing"})
    assert unknown.status_code == 409, "it runs; and a step that there is not would be 404"


async def test_where_people_are_asked_other_input_is_given_by_who_asks_or_an_operator(
    orchestrator: Service,
) -> None:
    """Else another could give figures, and decide on them."""
    asking = {
        "name": "asking",
        "steps": [
            {
                "stepType": "decided",
                "kind": "approval",
                "input": {"opportunityId": "'o'", "riskScore": "`0.9`", "amount": "input.amount"},
            }
        ],
    }
    async with orchestrator.client() as client:
        assert (await client.put("/api/v1/workflow-definitions/asking", json=asking)).status_code == 201
    workflow = await started(orchestrator, definition="asking", input={"amount": 1})
    for by, status in (
        ({"X-User-ID": "bob"}, 403),
        ({"X-User-ID": "olga", "X-User-Roles": "admin"}, 200),
        ({"X-User-ID": USER}, 200),
    ):
        await order(orchestrator, workflow, "cancel", {"reason": "wrong amount"})
        answer = await order(orchestrator, workflow, "retry", {"input": {"amount": 1_000_000 + status}}, **by)
        assert answer.status_code == status, answer.text


async def test_other_input_of_a_retry_is_held_against_the_definition_as_well(orchestrator: Service) -> None:
    numbered = {
        "name": "numbered",
        "inputSchema": {"type": "object", "properties": {"n": {"type": "number"}}},
        "steps": [{"stepType": "s", "kind": "task", "parameters": {"queue": "q"}}],
    }
    async with orchestrator.client() as client:
        assert (await client.put("/api/v1/workflow-definitions/numbered", json=numbered)).status_code == 201
    workflow = await started(orchestrator, definition="numbered", input={"n": 1})
    await order(orchestrator, workflow, "cancel", {"reason": "wrong"})
    answer = await order(orchestrator, workflow, "retry", {"fromStep": "s", "input": {"n": "x"}})
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["error"]["details"]] == ["input.n"]
    assert (await order(orchestrator, workflow, "retry", {"input": {"n": 2}})).status_code == 200


@pytest.mark.parametrize("step", ["nothing", UNKNOWN_ID])
async def test_a_step_that_there_is_not_is_not_found(orchestrator: Service, step: str) -> None:
    workflow = await started(orchestrator)
    answer = await order(orchestrator, workflow, f"steps/{step}/skip", {"reason": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "STEP_NOT_FOUND")


@pytest.mark.parametrize(
    ("what", "body"), [("skip", {"reason": "x"}), ("retry", {}), ("complete", {"result": {}})]
)
async def test_a_step_that_is_named_by_its_type_is_told_its_id(
    orchestrator: Service, what: str, body: dict[str, Any]
) -> None:
    workflow = await started(orchestrator)
    id = step_of(workflow, "forecast")["stepId"]
    error = (await order(orchestrator, workflow, f"steps/forecast/{what}", body)).json()["error"]
    assert (error["code"], error["details"]) == ("STEP_NOT_FOUND", {"stepId": id})
    assert error["message"] == f"the path needs the stepId of the step forecast, which is {id}"
    async with orchestrator.client(OTHER_TENANT) as stranger:
        theirs = await stranger.post(f"{PATH}/{workflow['workflowId']}/steps/forecast/{what}", json=body)
    assert (theirs.status_code, theirs.json()["error"]["code"]) == (404, "WORKFLOW_NOT_FOUND")


async def test_an_order_on_an_older_version_is_refused(orchestrator: Service) -> None:
    workflow = await started(orchestrator)
    answer = await order(orchestrator, workflow, "pause", {"reason": "x"}, **{"If-Match": '"3"'})
    assert answer.status_code == 412
    answer = await order(orchestrator, workflow, "pause", {"reason": "x"}, **{"If-Match": '"5"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"6"')


async def test_an_order_without_a_reason_is_told_so(orchestrator: Service) -> None:
    workflow = await started(orchestrator)
    for body in ({}, {"reason": ""}, {"reason": "x", "why": "y"}):
        answer = await order(orchestrator, workflow, "cancel", body or {"x": 1})
        assert answer.status_code == 400
        assert answer.json()["error"]["details"]


async def test_whoever_lets_something_go_on_may_say_why(orchestrator: Service, crm: Neighbour) -> None:
    workflow = await started(orchestrator)
    recommendation = step_of(workflow, "recommendation")["stepId"]
    error = {"workflowId": workflow["workflowId"], "error": "no data"}
    await crm.send("recommendation.generation.failed", error)
    await has_failed(orchestrator, workflow, "recommendation")
    await order(orchestrator, workflow, "pause", {"reason": "audit"})
    orders = {
        "resume": {"reason": "the audit is over"},
        f"steps/{recommendation}/retry": {"reason": "the data is there"},
        "cancel": {"reason": "off"},
        "retry": {"reason": "on again"},
    }
    for what, body in orders.items():
        answer = await order(orchestrator, workflow, what, body)
        assert answer.status_code == 200, answer.text
    await order(orchestrator, workflow, "cancel", {"reason": "off again"})
    await orchestrator.caught_up()
    filter = {"opportunityId": workflow["opportunityId"]}
    async with orchestrator.client() as client:
        bulk = {"action": "retry", "filter": filter, "reason": "all of them"}
        answer = await client.post(f"{PATH}/bulk", json=bulk)
        assert [each["outcome"] for each in answer.json()["outcomes"]] == ["done"]
        events = (await client.get(f"{PATH}/{workflow['workflowId']}/events")).json()["events"]
    assert [
        (each["type"], each["data"]["reason"])
        for each in reversed(events)
        if "reason" in each["data"] and each["type"] != "workflow.step_failed"
    ] == [
        ("workflow.paused", "audit"),
        ("workflow.resumed", "the audit is over"),
        ("workflow.step_dispatched", "the data is there"),
        ("workflow.cancelled", "off"),
        ("workflow.retried", "on again"),
        ("workflow.cancelled", "off again"),
        ("workflow.retried", "all of them"),
    ]
    for what in ("resume", "retry", f"steps/{recommendation}/retry"):
        for body in ({"reason": ""}, {"reason": "x" * 1001}, {"why": "x"}):
            answer = await order(orchestrator, workflow, what, body)
            assert answer.status_code == 400, (what, body)
