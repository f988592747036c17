"""A run whose step is a workflow of its own makes room once that is undone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from application.pacing import StartPace
from application.workflow_commands import FailStep
from domain.workflow import child_id_of, step_id_of
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.timers import SqliteTimers
from tests.application.logs import open_logs, sqlite_settings
from tests.application.orchestrator import Orchestrator
from tests.builders import SettableClock, metadata

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["once", "everything twice"])
async def service(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Orchestrator]:
    database = SqliteDatabase(tmp_path / "timers.db", synchronous="NORMAL")
    with open_logs(sqlite_settings(tmp_path)) as logs:
        timers = SqliteTimers(database)
        await timers.create()
        pace = StartPace(1000, burst=1000)
        yield Orchestrator(logs.store(), timers, SettableClock(), pace, twice=request.param)
        database.close()


@pytest.mark.parametrize("explicit", [True, False], ids=["over REST", "by a message"])
@pytest.mark.parametrize("how", ["is undone", "cannot be undone"])
async def test_a_replaced_run_makes_room_once_its_child_is_undone(
    service: Orchestrator, how: str, explicit: bool
) -> None:
    await service.ask("w-1", "replacing-above", explicit=explicit)
    await service.settle()
    child = child_id_of(step_id_of("w-1", "run"), 1)
    await service.complete(child, "book")
    await service.ask("w-2", "replacing-above", explicit=explicit, input={"n": 2})
    await service.settle()
    await service.ask("w-3", "replacing-above", explicit=explicit, input={"n": 2})
    await service.settle()
    statuses = await service.statuses()
    assert (statuses["w-1"], statuses[child]) == ("cancelled", "compensating")
    assert "running" not in statuses.values()
    if how == "is undone":
        await service.complete(child, "book.compensation")
    else:
        await service.give(FailStep(meta=metadata(), workflow_id=child, step="book.compensation", error="no"))
    await service.settle()
    assert list((await service.statuses()).values()).count("running") == 2, "the next and its child"
