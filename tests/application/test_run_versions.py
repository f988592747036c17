"""A run that waits is one of the version that it was asked for with, whatever becomes of the definition."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from application.definition_commands import PublishDefinition, RetireDefinition
from application.pacing import StartPace
from domain.definition import Concurrency, WorkflowDefinition
from domain.workflow import WorkflowCancelled, WorkflowQueued, WorkflowStarted, workflow_stream
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.timers import SqliteTimers
from tests.application.logs import open_logs, sqlite_settings
from tests.application.orchestrator import Orchestrator
from tests.builders import TENANT, SettableClock, metadata
from tests.domain.plans import step

pytestmark = pytest.mark.anyio

EXPLICITLY = pytest.mark.parametrize("explicit", [True, False], ids=["over REST", "by a message"])

CHECK = WorkflowDefinition(
    name="check",
    version=1,
    steps=(step("look", parameters={"request": "deal.look"}),),
    concurrency=Concurrency(policy="queue", key="input.deal"),
)
STRICTER = msgspec.structs.replace(
    CHECK,
    steps=(step("look_again", parameters={"request": "deal.look"}),),
    input_schema={"type": "object", "required": ["amount"]},
)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Orchestrator]:
    database = SqliteDatabase(tmp_path / "timers.db", synchronous="NORMAL")
    with open_logs(sqlite_settings(tmp_path)) as logs:
        timers = SqliteTimers(database)
        await timers.create()
        pace = StartPace(1000, burst=1000)
        service = Orchestrator(logs.store(), timers, SettableClock(), pace, twice=True)
        await publish(service, CHECK)
        yield service
        database.close()


async def publish(service: Orchestrator, definition: WorkflowDefinition) -> None:
    await service.give(
        PublishDefinition(meta=metadata(command_id=f"{definition.steps}"), definition=definition)
    )


async def waiting(service: Orchestrator, **more: Any) -> None:
    """A run is under way, and another waits for it."""
    await service.ask("w-1", "check", **more)
    await service.ask("w-2", "check", **more)
    await service.settle()


async def started(service: Orchestrator, workflow_id: str) -> WorkflowStarted:
    events = [each.event for each in await service.store.load(workflow_stream(TENANT, workflow_id))]
    (event,) = (each for each in events if isinstance(each, WorkflowStarted))
    return event


@EXPLICITLY
async def test_it_begins_in_the_version_that_it_was_held_against(
    service: Orchestrator, explicit: bool
) -> None:
    await waiting(service, explicit=explicit)
    await publish(service, STRICTER)
    await service.complete("w-1", "look")
    await service.settle()
    began = await started(service, "w-2")
    assert (began.definition_version, [each.step_type for each in began.steps]) == (1, ["look"])


async def test_what_its_starter_was_told_is_what_it_runs(service: Orchestrator) -> None:
    await waiting(service, explicit=True)
    queued, *_ = await service.store.load(workflow_stream(TENANT, "w-2"))
    assert isinstance(queued.event, WorkflowQueued)
    await publish(service, STRICTER)
    await service.complete("w-1", "look")
    await service.settle()
    assert (await started(service, "w-2")).definition_version == queued.event.definition_version


@EXPLICITLY
async def test_it_begins_though_its_version_is_retired_since(service: Orchestrator, explicit: bool) -> None:
    await waiting(service, explicit=explicit)
    await publish(service, STRICTER)
    await service.give(RetireDefinition(meta=metadata(command_id="retire"), name="check"))
    await service.complete("w-1", "look")
    await service.settle()
    assert (await started(service, "w-2")).definition_version == 1


async def test_of_what_messages_ask_for_the_latest_tells_the_version(service: Orchestrator) -> None:
    await waiting(service)
    await publish(service, STRICTER)
    await service.ask("w-3", "check", input={"amount": 1})
    await service.complete("w-1", "look")
    await service.settle()
    began = await started(service, "w-2")
    assert (began.definition_version, began.input) == (2, {"amount": 1})


async def test_what_comes_with_the_service_begins_in_the_version_there_is(service: Orchestrator) -> None:
    await service.ask("w-1", explicit=True)
    await service.ask("w-2", explicit=True)
    shipped = service.definitions.shipped
    newer = msgspec.structs.replace(shipped.by_name["queueing"], version=2)
    shipped.by_name = {**shipped.by_name, "queueing": newer}
    await service.complete("w-1")
    await service.settle()
    assert (await started(service, "w-2")).definition_version == 2


async def test_one_that_is_given_up_says_what_does_not_suit(service: Orchestrator) -> None:
    await service.ask("w-1", explicit=True)
    await service.ask("w-2", explicit=True)
    shipped = service.definitions.shipped
    stricter = msgspec.structs.replace(shipped.by_name["queueing"], input_schema=STRICTER.input_schema)
    shipped.by_name = {**shipped.by_name, "queueing": stricter}
    await service.complete("w-1")
    await service.settle()
    *_, cancelled = await service.store.load(workflow_stream(TENANT, "w-2"))
    assert isinstance(cancelled.event, WorkflowCancelled)
    assert cancelled.event.reason == "the input is not valid for queueing: input.amount: is missing"
