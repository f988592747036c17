"""Definitions through the dispatcher, on a real log: published, found, started with, retired."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from application.catalogue import Catalogue, ShippedDefinitions
from application.deciders import Committed
from application.definition_commands import PublishDefinition, RetireDefinition
from application.definitions import DefinitionHandlers
from application.dispatcher import Dispatcher
from application.workflow_commands import StartWorkflow
from application.workflows import WorkflowHandlers
from domain import published_definition
from domain.definition import OPPORTUNITY_ANALYSIS, StepDefinition, WorkflowDefinition
from domain.errors import (
    BadInput,
    DefinitionExists,
    DefinitionIsRetired,
    DefinitionIsShipped,
    DefinitionNotFound,
    OpportunityRequired,
    VersionMismatch,
)
from domain.published_definition import definition_stream
from domain.workflow import WorkflowStarted
from tests.application.logs import OpenLogs, open_logs, sqlite_settings
from tests.builders import OTHER_TENANT, TENANT, SettableClock, metadata

pytestmark = pytest.mark.anyio

STEP = StepDefinition(step_type="check", result_key="check", parameters={"request": "deal.check.requested"})
PLAN = WorkflowDefinition(
    name="deal-check",
    version=1,
    steps=(STEP,),
    input_schema={
        "type": "object",
        "required": ["amount"],
        "properties": {"amount": {"type": "number"}, "note": {"type": "string"}},
    },
)


class World:
    """A process with its own connection to the log."""

    def __init__(self, logs: OpenLogs) -> None:
        store, clock = logs.store(), SettableClock()
        shipped = ShippedDefinitions([OPPORTUNITY_ANALYSIS])
        self.catalogue = Catalogue(shipped, store)
        self.dispatch = Dispatcher(
            DefinitionHandlers(store, clock, shipped).handlers(),
            WorkflowHandlers(store, clock, self.catalogue).handlers(),
        )

    async def publish(
        self, definition: WorkflowDefinition = PLAN, *, tenant: str = TENANT, **more: Any
    ) -> Committed:
        return await self.dispatch(
            PublishDefinition(meta=metadata(tenant=tenant), definition=definition, **more)
        )

    async def retire(
        self, version: int | None = None, *, name: str = PLAN.name, tenant: str = TENANT
    ) -> Committed:
        return await self.dispatch(RetireDefinition(meta=metadata(tenant=tenant), name=name, version=version))

    async def start(self, *, tenant: str = TENANT, **more: Any) -> WorkflowStarted:
        fields = {"workflow_id": "w-1", "definition": PLAN.name, "input": {"amount": 1}, **more}
        committed = await self.dispatch(StartWorkflow(meta=metadata(tenant=tenant), **fields))
        started = committed.new[0].event
        assert isinstance(started, WorkflowStarted)
        return started


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[OpenLogs]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield logs


@pytest.fixture
def world(logs: OpenLogs) -> World:
    return World(logs)


def described(text: str) -> WorkflowDefinition:
    return msgspec.structs.replace(PLAN, description=text)


async def test_a_workflow_is_pinned_to_the_newest_version_or_to_the_one_that_is_named(world: World) -> None:
    await world.publish()
    await world.publish(described("second"))
    assert (await world.start(workflow_id="w-1")).definition_version == 2
    assert (await world.start(workflow_id="w-2", version=1)).definition_version == 1
    with pytest.raises(DefinitionNotFound, match="version 3"):
        await world.start(workflow_id="w-3", version=3)


async def test_the_same_again_is_the_version_that_it_is(world: World) -> None:
    first = await world.publish(as_new=True)
    again = await world.publish(as_new=True)
    assert (first.version, again.version, again.new) == (1, 1, ())
    with pytest.raises(DefinitionExists):
        await world.publish(described("another"), as_new=True)


async def test_what_is_shipped_is_found_by_everybody_and_changed_by_nobody(world: World) -> None:
    theirs = msgspec.structs.replace(PLAN, name=OPPORTUNITY_ANALYSIS.name)
    with pytest.raises(DefinitionIsShipped):
        await world.publish(theirs)
    with pytest.raises(DefinitionIsShipped):
        await world.retire(name=OPPORTUNITY_ANALYSIS.name)
    for tenant in (TENANT, OTHER_TENANT):
        started = await world.start(tenant=tenant, definition="opportunity-analysis", opportunity_id="opp-1")
        assert started.definition_version == 1


async def test_a_definition_with_faults_is_not_published_whoever_asks(world: World) -> None:
    bad = msgspec.structs.replace(
        PLAN, steps=(msgspec.structs.replace(STEP, kind="magic", after=("nobody",)),)
    )
    with pytest.raises(BadInput) as refused:
        await world.publish(bad)
    assert {fault["field"] for fault in refused.value.details} == {"steps[0].kind", "steps[0].after[0]"}


async def test_what_was_published_before_a_rule_starts_as_it_did(logs: OpenLogs, world: World) -> None:
    """Of a name that there is not: its condition holds as little as ever."""
    before = msgspec.structs.replace(PLAN, steps=(msgspec.structs.replace(STEP, when="inptu.amount"),))
    now = SettableClock().now()
    await logs.store().execute(
        definition_stream(TENANT, PLAN.name),
        evolve=published_definition.evolve,
        decide=lambda state: published_definition.publish(state, before, as_new=True, now=now),
        meta=metadata(),
        now=now,
    )
    assert (await world.start()).definition_version == 1
    with pytest.raises(BadInput) as refused:
        await world.publish(before)
    assert [fault["field"] for fault in refused.value.details] == ["steps[0].when"]


async def test_another_tenants_definition_is_not_there(world: World) -> None:
    await world.publish()
    with pytest.raises(DefinitionNotFound):
        await world.start(tenant=OTHER_TENANT)
    with pytest.raises(DefinitionNotFound):
        await world.retire(tenant=OTHER_TENANT)
    await world.publish(described("theirs"), tenant=OTHER_TENANT)
    found = await world.catalogue.find(TENANT, PLAN.name, None)
    assert (found.description, found.version) == ("", 1)


async def test_a_retired_version_starts_nothing_and_the_one_before_it_does(world: World) -> None:
    await world.publish()
    await world.publish(described("second"))
    await world.retire(2)
    assert (await world.start(workflow_id="w-1")).definition_version == 1
    with pytest.raises(DefinitionIsRetired):
        await world.start(workflow_id="w-2", version=2)
    await world.retire()
    with pytest.raises(DefinitionIsRetired):
        await world.start(workflow_id="w-3")
    with pytest.raises(DefinitionIsRetired):
        await world.start(workflow_id="w-4", version=1)
    await world.publish(described("third"))
    assert (await world.start(workflow_id="w-5")).definition_version == 3


async def test_what_another_process_publishes_or_retires_holds_at_once(logs: OpenLogs, world: World) -> None:
    other = World(logs)
    await world.publish()
    assert (await other.catalogue.find(TENANT, PLAN.name, None)).version == 1
    await world.publish(described("second"))
    assert (await other.catalogue.find(TENANT, PLAN.name, None)).version == 2
    await world.retire()
    with pytest.raises(DefinitionIsRetired):
        await other.catalogue.find(TENANT, PLAN.name, None)


@pytest.mark.parametrize("name", ["", "no such", "../x", "a/b", "x" * 128, "ä"])
async def test_a_name_that_none_can_have_is_not_found(world: World, name: str) -> None:
    with pytest.raises(DefinitionNotFound):
        await world.start(definition=name)
    with pytest.raises(DefinitionNotFound):
        await world.retire(name=name)


async def test_who_has_seen_an_older_version_publishes_nothing(world: World) -> None:
    await world.publish()
    await world.publish(described("second"), expected_version=1)
    with pytest.raises(VersionMismatch):
        await world.publish(described("third"), expected_version=1)
    with pytest.raises(DefinitionNotFound):
        await world.publish(msgspec.structs.replace(PLAN, name="other"), expected_version=1)


async def test_an_input_that_is_not_as_the_definition_says_starts_nothing(world: World) -> None:
    await world.publish()
    with pytest.raises(BadInput) as refused:
        await world.start(input={"amount": "much", "note": 5})
    assert refused.value.details == [
        {"field": "input.amount", "message": "is not of type 'number'"},
        {"field": "input.note", "message": "is not of type 'string'"},
    ]
    with pytest.raises(BadInput) as refused:
        await world.start(input=None)
    assert refused.value.details == [{"field": "input.amount", "message": "is missing"}]
    assert (await world.start()).input == {"amount": 1}


async def test_an_opportunity_that_is_needed_and_not_named_is_named_as_the_fault(world: World) -> None:
    with pytest.raises(OpportunityRequired) as refused:
        await world.start(definition="opportunity-analysis")
    assert [fault["field"] for fault in refused.value.details] == ["opportunityId"]
    await world.publish(msgspec.structs.replace(PLAN, needs_opportunity=True))
    with pytest.raises(OpportunityRequired) as refused:
        await world.start(input={"amount": "much"})
    assert [fault["field"] for fault in refused.value.details] == ["opportunityId", "input.amount"]
