"""Groups that a version of old has left waiting for what is no run of theirs: whoever asks next frees them.

Two triggers on one message asked two groups for one workflow. It became a run of the first; the second was
granted it, too, and heard of no end.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from application.pacing import StartPace
from domain import concurrency
from domain.concurrency import Start, StartGranted, StartQueued, concurrency_stream, group_of
from domain.definition import WorkflowDefinition
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.timers import SqliteTimers
from tests.application.logs import open_logs, sqlite_settings
from tests.application.orchestrator import Orchestrator, plan
from tests.builders import NOW, TENANT, SettableClock, metadata
from tests.samples_concurrency import START

pytestmark = pytest.mark.anyio

EU, US = {"region": "eu"}, {"region": "us"}
BY_REGION = {
    policy: plan(f"by-region-{policy}", policy=policy, key="input.region")
    for policy in ("queue", "skip", "replace")
}


@pytest.fixture(params=[False, True], ids=["once", "everything twice"])
async def service(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Orchestrator]:
    database = SqliteDatabase(tmp_path / "timers.db", synchronous="NORMAL")
    with open_logs(sqlite_settings(tmp_path)) as logs:
        timers = SqliteTimers(database)
        await timers.create()
        pace = StartPace(1000, burst=1000)
        yield Orchestrator(
            logs.store(), timers, SettableClock(), pace, BY_REGION.values(), twice=request.param
        )
        database.close()


def asking(definition: WorkflowDefinition, workflow_id: str) -> Start:
    return msgspec.structs.replace(
        START,
        workflow_id=workflow_id,
        definition=definition.name,
        version=None,
        opportunity_id="opp-1",
        input=US,
        policy=definition.concurrency.policy,
        explicit=False,
    )


async def blocked(service: Orchestrator, definition: WorkflowDefinition, *waiting: str) -> None:
    """A log in the old shape: ``w-1`` is a run of the group of the EU, and was granted to that of the US."""
    await service.ask("w-1", definition.name, input=EU)
    await service.settle()
    group = group_of(definition, "opp-1", US)
    granted = StartGranted(group=group, start=asking(definition, "w-1"), granted_at=NOW)
    queued = [StartQueued(group=group, start=asking(definition, each), queued_at=NOW) for each in waiting]
    await service.store.execute(
        concurrency_stream(TENANT, group),
        evolve=concurrency.evolve,
        decide=lambda _: (granted, *queued),
        meta=metadata(command_id="of-old"),
        now=NOW,
    )
    await service.pass_over()


@pytest.mark.parametrize("explicit", [False, True], ids=["by a message", "explicitly"])
@pytest.mark.parametrize("policy", BY_REGION)
@pytest.mark.parametrize("ended", [False, True], ids=["the run goes on", "the run has ended"])
async def test_a_group_that_waits_for_a_run_of_another_is_freed_by_who_asks_next(
    service: Orchestrator, policy: str, explicit: bool, ended: bool
) -> None:
    definition = BY_REGION[policy]
    await blocked(service, definition)
    if ended:
        await service.complete("w-1")
        await service.settle()
    await service.ask("w-2", definition.name, input=US, explicit=explicit)
    await service.settle()
    assert await service.statuses() == {"w-1": "completed" if ended else "running", "w-2": "running"}


async def test_what_had_waited_there_starts_first(service: Orchestrator) -> None:
    definition = BY_REGION["queue"]
    await blocked(service, definition, "w-2")
    await service.ask("w-3", definition.name, input=US, explicit=True)
    await service.settle()
    assert await service.statuses() == {"w-1": "running", "w-2": "running", "w-3": "pending"}
    await service.complete("w-2")
    await service.settle()
    assert (await service.statuses())["w-3"] == "running"


async def test_a_run_that_is_granted_and_not_yet_begun_is_waited_for(service: Orchestrator) -> None:
    await service.ask("w-1", input=None)
    await service.ask("w-2", input=None)
    await service.settle()
    assert await service.statuses() == {"w-1": "running"}
