"""The examples of ``docs/workflows.md``, published as a tenant would, and run."""

import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from domain.definition import WorkflowDefinition
from interfaces.definitions.reader import read_definition
from tests.harness import USER, Service, eventually, service, settings_in
from tests.integration.conftest import is_connected
from tests.neighbours import Names, Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

PAGE = Path(__file__).parents[2] / "docs" / "workflows.md"
EXAMPLES = {
    str(yaml.safe_load(text)["name"]): text
    for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
}
SPOKEN_OF = sorted(set(re.findall(r"[tT]ype: ([a-z]+\.[a-z]+\.[a-z]+)", PAGE.read_text())))


@pytest.fixture
def definitions() -> Sequence[WorkflowDefinition]:
    """What the neighbour is told by, beside the contract."""
    return [read_definition(yaml.safe_load(text)) for text in EXAMPLES.values()]


@pytest.fixture
async def world(tmp_path: Path, rabbitmq_url: str, names: Names, crm: Neighbour) -> AsyncIterator[Service]:
    """The service, its queue bound to what the examples speak of."""
    overlay = names.overlay(message_types=SPOKEN_OF)
    async with service(settings_in(tmp_path, overlay=overlay, RABBITMQ_URL=rabbitmq_url)) as running:
        await is_connected(running)
        yield running


@pytest.fixture
async def client(world: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A person of the tenant."""
    async with world.client(**{"X-User-ID": USER}) as client:
        yield client


async def begun(client: httpx.AsyncClient, name: str, **input: Any) -> str:
    """Publish an example and start it; the workflow's id."""
    published = await client.put(
        f"/api/v1/workflow-definitions/{name}",
        content=EXAMPLES[name],
        headers={"Content-Type": "application/yaml"},
    )
    assert published.status_code == 201, published.text
    body = {"definition": name, "opportunityId": "opp-1", "input": input}
    answer = await client.post("/api/v1/workflows", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["workflowId"])


async def ended_as(client: httpx.AsyncClient, workflow_id: str, status: str) -> dict[str, Any]:
    """The workflow, once it is in that state."""

    async def there() -> dict[str, Any] | None:
        workflow: dict[str, Any] = (await client.get(f"/api/v1/workflows/{workflow_id}")).json()
        return workflow if workflow["status"] == status else None

    found: dict[str, Any] = await eventually(there)
    return found


def statuses(workflow: dict[str, Any]) -> dict[str, str]:
    """Of its steps."""
    return {step["stepType"]: step["status"] for step in workflow["steps"]}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
async def test_every_example_is_a_sound_definition(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post(
        "/api/v1/workflow-definitions/validate",
        content=EXAMPLES[name],
        headers={"Content-Type": "application/yaml"},
    )
    assert answer.json()["faults"] == []
    assert answer.json()["valid"]


async def test_a_good_credit_is_released_without_asking(client: httpx.AsyncClient, crm: Neighbour) -> None:
    workflow_id = await begun(client, "credit-check", amount=5)
    (request,) = await crm.expect("credit.check.requested")
    assert request["data"]["amount"] == 5
    await crm.send("credit.check.completed", {"workflowId": workflow_id, "score": 80, "secret": 1})
    await crm.expect("deal.release.requested")
    await crm.send("deal.release.completed", {"workflowId": workflow_id, "at": "once"})
    workflow = await ended_as(client, workflow_id, "completed")
    assert statuses(workflow) == {"credit": "completed", "sign_off": "skipped", "release": "completed"}
    assert workflow["results"]["credit"] == {"score": 80}


async def test_a_bad_credit_is_for_a_person_to_decide(client: httpx.AsyncClient, crm: Neighbour) -> None:
    workflow_id = await begun(client, "credit-check", amount=5)
    await crm.expect("credit.check.requested")
    await crm.send("credit.check.completed", {"workflowId": workflow_id, "score": 20})

    async def asked() -> dict[str, Any] | None:
        found = (await client.get("/api/v1/hitl/approvals", params={"status": "pending"})).json()
        return found["approvals"][0] if found["approvals"] else None

    approval = await eventually(asked)
    assert (approval["workflowId"], approval["riskScore"], approval["amount"]) == (workflow_id, 20, 5)
    decided = await client.post(
        f"/api/v1/hitl/approvals/{approval['id']}/reject", json={"decidedBy": USER, "comment": "too risky"}
    )
    assert decided.status_code == 200
    workflow = await ended_as(client, workflow_id, "completed")
    assert statuses(workflow) == {"credit": "completed", "sign_off": "completed", "release": "skipped"}
    assert workflow["results"]["sign_off"]["comment"] == "too risky"


async def test_a_credit_check_that_fails_fails_the_workflow(
    client: httpx.AsyncClient, crm: Neighbour
) -> None:
    workflow_id = await begun(client, "credit-check", amount=5)
    await crm.expect("credit.check.requested")
    await crm.send("credit.check.failed", {"workflowId": workflow_id, "error": "no such customer"})
    workflow = await ended_as(client, workflow_id, "failed")
    assert (workflow["error"], workflow["failedStep"]) == ("no such customer", "credit")


async def test_a_start_that_does_not_fit_the_schema_is_told_every_fault(client: httpx.AsyncClient) -> None:
    await begun(client, "credit-check", amount=5)
    body = {"definition": "credit-check", "opportunityId": "opp-1", "input": {"amount": -1}}
    answer = await client.post("/api/v1/workflows", json=body)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["error"]["details"]] == ["input.amount"]


async def test_a_quote_is_for_the_plant_that_it_names(client: httpx.AsyncClient, crm: Neighbour) -> None:
    workflow_id = await begun(client, "quotes-of-all-plants", plants=["gera", "jena"])
    asked = await crm.expect("plant.quote.requested", 2)
    assert {request["data"]["plant"] for request in asked} == {"gera", "jena"}
    for plant, price in (("suhl", 1), ("jena", 2), ("gera", 3)):
        data = {"workflowId": workflow_id, "quote": {"plant": plant}, "price": price}
        await crm.send("plant.quote.made", data)
    workflow = await ended_as(client, workflow_id, "completed")
    assert workflow["results"]["quotes"] == [{"price": 3}, {"price": 2}]


async def test_one_task_is_a_workflow(client: httpx.AsyncClient) -> None:
    workflow_id = await begun(client, "call-back", who="ann")
    claim = {"queue": "calls", "workerId": "w", "waitSeconds": 10}
    (task,) = (await client.post("/api/v1/tasks/claim", json=claim)).json()["tasks"]
    assert task["input"] == {"who": "ann"}
    done = {"leaseToken": task["leaseToken"], "output": {"said": "yes"}}
    await client.post(f"/api/v1/tasks/{task['id']}/complete", json=done)
    workflow = await ended_as(client, workflow_id, "completed")
    assert workflow["results"]["call"] == {"said": "yes"}


async def test_a_customer_who_was_won_is_called(client: httpx.AsyncClient, crm: Neighbour) -> None:
    await client.put(
        "/api/v1/workflow-definitions/welcome",
        content=EXAMPLES["welcome"],
        headers={"Content-Type": "application/yaml"},
    )

    async def begun_by_a_message() -> list[dict[str, Any]]:
        """A trigger counts within 5 s of its publication: the message is sent until it does."""
        for amount in (1, 101):
            await crm.send("customer.was.won", {"amount": amount, "dealId": f"opp-{amount}", "name": "ann"})
        found = await client.get("/api/v1/workflows", params={"definition": "welcome"})
        workflows: list[dict[str, Any]] = found.json()["workflows"]
        return workflows

    started = await eventually(begun_by_a_message, every=0.5)
    assert {(each["opportunityId"], each["input"]["who"]) for each in started} == {("opp-101", "ann")}


async def test_every_contact_is_called_by_a_worker(client: httpx.AsyncClient) -> None:
    workflow_id = await begun(client, "call-the-contacts", contacts=["ann", "bob", "cid"])
    called: list[str] = []
    while len(called) < 3:
        claim = {"queue": "calls", "workerId": "w", "max": 10, "waitSeconds": 10}
        answer = await client.post("/api/v1/tasks/claim", json=claim)
        tasks = answer.json()["tasks"]
        assert 0 < len(tasks) <= 2, "two at a time"
        for task in tasks:
            called.append(task["input"]["contact"])
            done = {"leaseToken": task["leaseToken"], "output": {"called": task["input"]["contact"]}}
            await client.post(f"/api/v1/tasks/{task['id']}/complete", json=done)
    workflow = await ended_as(client, workflow_id, "completed")
    assert sorted(called) == ["ann", "bob", "cid"]
    assert workflow["results"]["calls"] == [{"called": name} for name in ("ann", "bob", "cid")]


async def test_what_was_reserved_is_released_where_nobody_pays(
    client: httpx.AsyncClient, crm: Neighbour
) -> None:
    workflow_id = await begun(client, "reserve-and-pay")
    await crm.expect("stock.reserve.requested")
    await crm.send("stock.reserve.completed", {"workflowId": workflow_id, "reservation": "r-1"})
    await crm.expect("payment.take.requested")
    await crm.send("payment.take.failed", {"workflowId": workflow_id, "error": "no money"})
    (undo,) = await crm.expect("stock.release.requested")
    assert undo["data"]["reservation"] == "r-1"
    assert (await ended_as(client, workflow_id, "compensating"))["error"] == "no money"
    await crm.send("stock.release.completed", {"workflowId": workflow_id, "stepId": undo["data"]["stepId"]})
    await ended_as(client, workflow_id, "compensated")
