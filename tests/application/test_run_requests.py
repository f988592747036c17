"""Requests for runs that come again, or whose handler dies half-way: then the policy does the rest."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from application.concurrency import ConcurrencyHandlers
from application.deciders import Committed
from application.pacing import StartPace
from application.workflow_commands import QueueWorkflow, RequestRun, StartWorkflow
from application.workflows import WorkflowHandlers
from domain.definition import WorkflowDefinition
from domain.errors import DefinitionIsRetired, IdempotencyKeyReused, StoreUnavailable
from domain.workflow import workflow_stream
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.timers import SqliteTimers
from tests.application.logs import open_logs, sqlite_settings
from tests.application.orchestrator import Orchestrator
from tests.builders import TENANT, SettableClock, metadata

pytestmark = pytest.mark.anyio

PACE = StartPace(1000, burst=1000)


class Dying(WorkflowHandlers):
    """It dies after its request is in the group's stream, and before it is in the workflow's."""

    async def start_workflow(self, command: StartWorkflow) -> Committed:
        raise StoreUnavailable("away")

    async def queue_workflow(self, command: QueueWorkflow) -> Committed:
        raise StoreUnavailable("away")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Orchestrator]:
    database = SqliteDatabase(tmp_path / "timers.db", synchronous="NORMAL")
    with open_logs(sqlite_settings(tmp_path)) as logs:
        timers = SqliteTimers(database)
        await timers.create()
        yield Orchestrator(logs.store(), timers, SettableClock(), PACE, twice=False)
        database.close()


def asked(definition: str = "queueing", digest: str = "this") -> RequestRun:
    return RequestRun(
        meta=metadata(command_id="chosen", request_digest=digest),
        workflow_id="w-1",
        definition=definition,
        opportunity_id="opp-1",
        explicit=True,
    )


@pytest.mark.parametrize("running", [False, True], ids=["it starts", "it waits"])
async def test_a_key_is_known_also_where_the_policy_begins_what_was_asked(
    service: Orchestrator, running: bool
) -> None:
    if running:
        await service.ask("w-0", explicit=True)
    dying = Dying(service.store, service.clock, service.definitions)
    with pytest.raises(StoreUnavailable):
        await ConcurrencyHandlers(service.store, service.clock, dying, PACE).request_run(asked())
    await service.settle()
    assert (await service.statuses())["w-1"] == ("pending" if running else "running")

    again = await service.give(asked())
    assert (again.stream, again.new) == (workflow_stream(TENANT, "w-1"), ())
    with pytest.raises(IdempotencyKeyReused):
        await service.give(asked(digest="another"))


@pytest.mark.parametrize(
    ("definition", "running"),
    [("allowing", False), ("queueing", False), ("queueing", True)],
    ids=["it may overlap", "it starts", "it waits"],
)
async def test_a_start_under_a_key_is_answered_as_the_first_time_though_its_definition_is_retired(
    service: Orchestrator, definition: str, running: bool
) -> None:
    if running:
        await service.ask("w-0", explicit=True)
    first = await service.give(asked(definition))
    service.definitions.find = retired  # type: ignore[method-assign]
    again = await service.give(asked(definition))
    assert (again.stream, again.version, again.new) == (first.stream, first.version, ())
    with pytest.raises(IdempotencyKeyReused):
        await service.give(asked(definition, digest="another"))
    with pytest.raises(DefinitionIsRetired):
        await service.ask("w-2", definition, explicit=True)


async def test_what_waits_is_left_as_it_is_though_its_definition_is_retired(service: Orchestrator) -> None:
    await service.ask("w-0", explicit=True)
    await service.ask("w-1", explicit=True)
    service.definitions.find = retired  # type: ignore[method-assign]
    queue = QueueWorkflow(
        meta=metadata(),
        workflow_id="w-1",
        definition="queueing",
        opportunity_id="opp-1",
        concurrency_group="queueing/opp-1",
    )
    assert (await service.give(queue)).new == ()
    with pytest.raises(DefinitionIsRetired):
        await service.give(msgspec.structs.replace(queue, workflow_id="w-2"))


async def retired(tenant: str, name: str, version: int | None) -> WorkflowDefinition:
    raise DefinitionIsRetired("it is retired")
