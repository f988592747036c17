"""A tenant's own definition that a message starts, on a real RabbitMQ; another tenant's message does not."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from domain.definition import WorkflowDefinition
from interfaces.definitions import triggers
from interfaces.definitions.reader import read_definition
from tests.harness import OTHER_TENANT, TENANT, Service, eventually, service, settings_in
from tests.integration.conftest import is_connected
from tests.neighbours import Names, Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

DEFINITION = {
    "name": "welcome",
    "version": 1,
    "triggers": [
        {
            "messageType": "customer.was.won",
            "filter": "data.amount > `100`",
            "opportunityId": "data.dealId",
            "input": {"who": "data.name"},
        }
    ],
    "steps": [
        {"stepType": "call", "kind": "task", "parameters": {"queue": "calls"}, "input": {"who": "input.who"}}
    ],
}


OWN_SUM = {
    "name": "own",
    "version": 1,
    "steps": [
        {
            "stepType": "own",
            "kind": "event",
            "parameters": {
                "request": "own.sum.wanted",
                "replies": [{"type": "forecast.completed", "result": {"total": "data.sum"}}],
            },
        }
    ],
}


@pytest.fixture
def definitions() -> Sequence[WorkflowDefinition]:
    """What the neighbour is told by, beside the contract."""
    return [read_definition(each) for each in (DEFINITION, OWN_SUM)]


@pytest.fixture
async def world(
    tmp_path: Path, rabbitmq_url: str, names: Names, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """The service, its queue bound to the trigger's type; what it has read of definitions is soon old."""
    monkeypatch.setattr(triggers, "KEPT_SECONDS", 0.05)
    overlay = names.overlay(message_types=["customer.was.won"])
    async with service(settings_in(tmp_path, overlay=overlay, RABBITMQ_URL=rabbitmq_url)) as running:
        await is_connected(running)
        yield running


async def test_a_message_starts_what_a_tenant_has_published(world: Service, crm: Neighbour) -> None:
    async with world.client() as client, world.client(OTHER_TENANT) as other:
        published = await client.post("/api/v1/workflow-definitions", json=DEFINITION)
        assert published.status_code == 201, published.text
        await world.caught_up()
        won = {"dealId": "deal-7", "amount": 500, "name": "ann"}
        await crm.send("customer.was.won", won, tenant=OTHER_TENANT)
        await crm.send("customer.was.won", {**won, "amount": 5})
        message_id = await crm.send("customer.was.won", won)
        await crm.send("customer.was.won", won, message_id=message_id)

        async def started() -> list[dict[str, object]]:
            await world.caught_up()
            found: list[dict[str, object]] = (await client.get("/api/v1/workflows")).json()["workflows"]
            return found

        (workflow,) = await eventually(started)
        assert (workflow["definition"], workflow["opportunityId"]) == ("welcome", "deal-7")
        assert workflow["input"] == {"who": "ann"}
        assert workflow["tenantId"] == TENANT
        retired = await client.delete("/api/v1/workflow-definitions/welcome")
        assert retired.status_code == 200
        await world.caught_up()
        await crm.send("customer.was.won", {**won, "dealId": "deal-8"})
        await crm.send("customer.was.won", {**won, "dealId": "deal-9"}, tenant=OTHER_TENANT)

        async def taken() -> bool:
            return await crm.queued(crm.names.queue) == 0

        await eventually(taken)
        assert len(await started()) == 1
        assert (await other.get("/api/v1/workflows")).json()["total"] == 0


async def test_a_reply_of_a_built_in_type_may_have_the_shape_that_the_definition_says(
    world: Service, crm: Neighbour
) -> None:
    async with world.client() as client:
        published = await client.post("/api/v1/workflow-definitions", json=OWN_SUM)
        assert published.status_code == 201, published.text
        workflow = (await client.post("/api/v1/workflows", json={"definition": "own"})).json()
        await crm.send("forecast.completed", {"workflowId": workflow["workflowId"], "sum": 7})

        async def ended() -> dict[str, Any] | None:
            now = (await client.get(f"/api/v1/workflows/{workflow['workflowId']}")).json()
            return now if now["status"] == "completed" else None

        assert (await eventually(ended))["results"] == {"own": {"total": 7}}
    assert await crm.queued(crm.names.dead_letter_queue) == 0
