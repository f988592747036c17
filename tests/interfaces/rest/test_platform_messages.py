"""The platform's own messages may have other types on the wire; a tenant's definition sends none of these."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from application.catalogue import ShippedDefinitions
from application.definition_commands import PublishDefinition
from application.definitions import DefinitionHandlers
from infrastructure.clock import SystemClock
from interfaces.definitions.reader import read_definition
from tests.builders import metadata
from tests.definitions import document, step
from tests.harness import TENANT, Service, eventually, service, settings_in

pytestmark = pytest.mark.anyio

PATH = "/api/v1/workflow-definitions"

OVERLAY = {
    "rabbitmq": {"type_aliases": {"workflow.job.completed": "jobs.done"}},
    "batch_jobs": {"jobs": {"invoices": {"cron": "0 6 * * *", "message_type": "invoices.wanted"}}},
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Service]:
    async with service(settings_in(tmp_path, overlay=OVERLAY, BATCH_JOBS_ENABLED="false")) as running:
        yield running


def speaking_for_the_platform() -> dict[str, Any]:
    return document(
        step("tell", kind="event", parameters={"request": "jobs.done"}, input={"job": "'propagation'"}),
        step("order", kind="event", parameters={"request": "invoices.wanted"}),
        step("ask", kind="event", parameters={"request": "deal.check.wanted"}),
        announcements={"started": "jobs.done"},
    )


async def test_a_definition_that_would_send_one_is_not_published(world: Service) -> None:
    expected = {
        "announcements.started": "jobs.done is a message type reserved for the platform",
        "steps[0].parameters.request": "jobs.done is a message type reserved for the platform",
        "steps[1].parameters.request": "invoices.wanted is a message type reserved for the platform",
    }
    async with world.client() as client:
        checked = (await client.post(f"{PATH}/validate", json=speaking_for_the_platform())).json()
        refused = await client.post(PATH, json=speaking_for_the_platform())
        broken = speaking_for_the_platform() | {"colour": "red"}
        with_more = (await client.post(f"{PATH}/validate", json=broken)).json()
    assert {each["field"]: each["message"] for each in checked["faults"]} == expected
    assert refused.status_code == 400
    assert {each["field"] for each in refused.json()["error"]["details"]} == set(expected)
    assert {each["field"] for each in with_more["faults"]} == {*expected, "colour"}


async def test_a_step_of_one_that_was_published_before_fails_and_sends_nothing(world: Service) -> None:
    """As a service published it that had no such settings yet."""
    definition = read_definition(speaking_for_the_platform())
    before = DefinitionHandlers(world.container.stores.event_store, SystemClock(), ShippedDefinitions([]))
    await before.publish_definition(PublishDefinition(meta=metadata(), definition=definition, as_new=True))
    async with world.client(TENANT) as client:
        workflow = (await client.post("/api/v1/workflows", json={"definition": definition.name})).json()
        steps = f"/api/v1/workflows/{workflow['workflowId']}/steps"

        async def two_have_failed() -> list[dict[str, Any]]:
            await world.caught_up()
            shown = (await client.get(steps)).json()["steps"]
            failed = [each for each in shown if each["status"] == "failed"]
            return shown if len(failed) == 2 else []

        shown = {each["stepType"]: each for each in await eventually(two_have_failed)}
    assert shown["tell"]["error"] == "jobs.done is a message type reserved for the platform"
    assert shown["order"]["error"] == "invoices.wanted is a message type reserved for the platform"
    assert shown["ask"]["status"] == "running"
