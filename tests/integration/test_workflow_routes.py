"""Workflows over REST: started, looked into, retried, and hidden from other tenants."""

from typing import Any
from uuid import uuid4

import pytest

from tests.harness import OTHER_TENANT, TENANT, USER, Service
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

PATH = "/api/v1/workflows"


async def started(service: Service, **body: Any) -> dict[str, Any]:
    """A workflow started by REST."""
    async with service.client(**{"X-User-ID": USER}) as client:
        answer = await client.post(PATH, json={"opportunityId": "opp-1", **body})
    assert answer.status_code == 202, answer.text
    workflow: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{PATH}/{workflow['workflowId']}"
    return workflow


async def test_a_started_workflow_can_be_read_at_once(orchestrator: Service) -> None:
    workflow = await started(orchestrator)
    async with orchestrator.client() as client:
        at_once = await client.get(f"{PATH}/{workflow['workflowId']}")
        await orchestrator.caught_up()
        stored = await client.get(f"{PATH}/{workflow['workflowId']}")
    assert at_once.json() == workflow
    assert stored.content == at_once.content
    assert stored.headers["etag"] == '"5"'
    assert workflow["status"] == "running"
    assert workflow["tenantId"] == TENANT
    assert [step["stepType"] for step in workflow["steps"]] == [
        "risk_analysis",
        "risk_scoring",
        "forecast",
        "recommendation",
    ]
    assert {step["workflowId"] for step in workflow["steps"]} == {workflow["workflowId"]}


async def test_a_list_of_steps_is_in_the_order_of_ids_where_they_came_to_be_together(
    orchestrator: Service,
) -> None:
    workflow = await started(orchestrator)
    await orchestrator.caught_up()
    async with orchestrator.client() as client:
        listed = (await client.get(f"{PATH}/{workflow['workflowId']}/steps")).json()["steps"]
    ids = [step["stepId"] for step in listed]
    assert ids == sorted((step["stepId"] for step in workflow["steps"]), reverse=True)


async def test_lists_are_filtered_and_newest_first(orchestrator: Service) -> None:
    first, second = await started(orchestrator), await started(orchestrator, opportunityId="opp-2")
    await orchestrator.caught_up()
    async with orchestrator.client() as client:

        async def listed(**filters: str) -> list[str]:
            answer = (await client.get(PATH, params=filters)).json()
            assert answer["total"] == len(answer["workflows"])
            return [workflow["workflowId"] for workflow in answer["workflows"]]

        both = [second["workflowId"], first["workflowId"]]
        assert sorted(await listed()) == sorted(both)
        assert await listed(opportunityId="opp-2") == [second["workflowId"]]
        assert sorted(await listed(status="running", definition="opportunity-analysis")) == sorted(both)
        assert await listed(status="failed") == []
        assert sorted(await listed(createdAfter=first["createdAt"])) == sorted(both)
        assert await listed(createdBefore=first["createdAt"]) == []


async def test_steps_executions_and_events_are_shown(orchestrator: Service, crm: Neighbour) -> None:
    workflow = await started(orchestrator)
    workflow_id = workflow["workflowId"]
    error = {"workflowId": workflow_id, "error": "no data"}
    await crm.send("risk.evaluation.failed", error)
    await crm.expect("workflow.opportunity.analysis.failed")
    await orchestrator.caught_up()
    async with orchestrator.client() as client:
        steps = (await client.get(f"{PATH}/{workflow_id}/steps")).json()
        executions = (await client.get(f"{PATH}/{workflow_id}/executions")).json()
        events = (await client.get(f"{PATH}/{workflow_id}/events")).json()
    assert steps["total"] == 4
    assert {step["status"] for step in steps["steps"]} == {"running", "failed"}
    (execution,) = executions["executions"]
    assert execution["status"] == "failed"
    assert execution["failedStep"] == "risk_analysis"
    assert events["total"] == 7
    assert [event["version"] for event in events["events"]] == [7, 6, 5, 4, 3, 2, 1]
    oldest = events["events"][-1]
    assert oldest["type"] == "workflow.started"
    assert oldest["actor"] == USER
    assert oldest["schemaVersion"] == 4
    assert oldest["data"]["opportunityId"] == "opp-1"
    assert oldest["data"]["startedAt"] == workflow["startedAt"]
    assert oldest["data"]["steps"][0]["stepType"] == "risk_analysis"
    newest = events["events"][0]
    assert newest["type"] == "workflow.failed"
    assert newest["actor"] == "service:a-neighbour"
    assert newest["causationId"]


async def test_nothing_failed_is_a_conflict(orchestrator: Service) -> None:
    workflow = await started(orchestrator)
    async with orchestrator.client() as client:
        answer = await client.post(f"{PATH}/{workflow['workflowId']}/retry")
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "WORKFLOW_NOT_ENDED"


@pytest.mark.parametrize(
    "body", [{"definition": "no-such"}, {"definition": "opportunity-analysis", "version": 2}]
)
async def test_an_unknown_definition_is_not_found(orchestrator: Service, body: dict[str, Any]) -> None:
    async with orchestrator.client() as client:
        answer = await client.post(PATH, json={"opportunityId": "opp-1", **body})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "DEFINITION_NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/steps"),
        ("GET", "/executions"),
        ("GET", "/events"),
        ("POST", "/retry"),
        ("POST", "/cancel"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/steps/{step}/retry"),
        ("POST", "/steps/{step}/skip"),
        ("POST", "/steps/{step}/complete"),
    ],
)
async def test_another_tenants_workflow_is_as_if_it_were_not_there(
    orchestrator: Service, method: str, path: str
) -> None:
    workflow, unknown = await started(orchestrator), str(uuid4())
    workflow_id = workflow["workflowId"]
    path = path.format(step=workflow["steps"][0]["stepId"])
    order = path.rpartition("/")[2]
    bodies: dict[str, Any] = {"complete": {"result": {}}, "retry": {}, "resume": {}}
    body = bodies.get(order, {"reason": "x"})
    sent = body if method == "POST" else None
    await orchestrator.caught_up()
    async with orchestrator.client(OTHER_TENANT) as stranger:
        theirs = await stranger.request(method, f"{PATH}/{workflow_id}{path}", json=sent)
        nobodys = await stranger.request(method, f"{PATH}/{unknown}{path}", json=sent)
        assert (await stranger.get(PATH)).json() == {"workflows": [], "total": 0}
    async with orchestrator.client() as client:
        assert (await client.get(f"{PATH}/{workflow_id}")).json() == workflow
    assert theirs.status_code == nobodys.status_code == 404
    assert (
        theirs.json()["error"]["message"].replace(workflow_id, unknown) == nobodys.json()["error"]["message"]
    )
