"""The triggers of tenants' own definitions: those published under other rules, and how they are read."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from application.triggers import ShippedTriggers
from domain import published_definition
from domain.definition import StepDefinition, Trigger, WorkflowDefinition
from domain.published_definition import definition_stream
from interfaces.definitions.triggers import TenantTriggers
from interfaces.messaging.envelope import Delivery
from projections.definitions import Definitions
from tests.builders import metadata
from tests.harness import TENANT, service, settings_in
from tests.interfaces.slow_documents import HeldQueries

pytestmark = pytest.mark.anyio


async def test_a_definition_s_good_triggers_count_whatever_new_rules_have_against_the_rest(
    tmp_path: Path,
) -> None:
    task = StepDefinition(step_type="a", result_key="a", kind="task", parameters={"queue": "q"})
    definition = WorkflowDefinition(
        name="of-before",
        version=1,
        steps=(msgspec.structs.replace(task, when="size(input.items) > `3`"),),
        triggers=(
            Trigger(message_type="deal.was.won"),
            Trigger(message_type="deal.was.won", filter="len(data.items)"),
        ),
    )

    async def park(delivery: Delivery, reason: str) -> None:
        raise AssertionError(reason)

    async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
        now = datetime.now(UTC)
        await running.container.stores.event_store.execute(
            definition_stream(TENANT, definition.name),
            evolve=published_definition.evolve,
            decide=lambda state: published_definition.publish(state, definition, as_new=True, now=now),
            meta=metadata(),
            now=now,
        )
        await running.caught_up()
        won = {"id": str(uuid4()), "type": "deal.was.won", "tenantId": TENANT, "data": {}}
        delivery = Delivery(body=msgspec.json.encode(won), routing_key="deal.was.won")
        assert await running.container.consumer.consume(delivery, park) == "handled"
        await running.caught_up()
        async with running.client(TENANT) as client:
            assert (await client.get("/api/v1/workflows?definition=of-before")).json()["total"] == 1


async def test_messages_that_come_at_once_look_into_the_definitions_once() -> None:
    documents = HeldQueries(TENANT)
    triggers = TenantTriggers(
        ShippedTriggers([]),
        documents,  # type: ignore[arg-type]
        Definitions().container,
    )
    waiting = [asyncio.create_task(triggers.for_message(TENANT, "deal.was.won")) for _ in range(50)]
    await documents.is_asked.wait()
    documents.released.set()
    assert await asyncio.gather(*waiting) == [[]] * 50
    assert documents.queries[TENANT] == 1
