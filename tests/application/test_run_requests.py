"""A request whose handler dies half-way: the policy does the rest, on the request's behalf."""

from pathlib import Path

import msgspec
import pytest

from application.commands import QueueWorkflow, RequestRun, StartWorkflow
from application.deciders import Committed
from application.pacing import StartPace
from application.runs import RunHandlers
from application.workflows import WorkflowHandlers
from domain.errors import IdempotencyKeyReused, StoreUnavailable
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


@pytest.mark.parametrize("running", [False, True], ids=["it starts", "it waits"])
async def test_a_key_is_known_also_where_the_policy_begins_what_was_asked(
    tmp_path: Path, running: bool
) -> None:
    database = SqliteDatabase(tmp_path / "timers.db", synchronous="NORMAL")
    with open_logs(sqlite_settings(tmp_path)) as logs:
        timers = SqliteTimers(database)
        await timers.create()
        service = Orchestrator(logs.store(), timers, SettableClock(), PACE, twice=False)
        if running:
            await service.ask("w-0", explicit=True)
        asked = RequestRun(
            meta=metadata(command_id="chosen", request_digest="this"),
            workflow_id="w-1",
            definition="queueing",
            opportunity_id="opp-1",
            explicit=True,
        )
        dying = Dying(service.store, service.clock, service.definitions)
        with pytest.raises(StoreUnavailable):
            await RunHandlers(service.store, service.clock, dying, PACE).request_run(asked)
        await service.settle()
        assert (await service.statuses())["w-1"] == ("pending" if running else "running")

        again = await service.give(asked)
        assert (again.stream, again.new) == (workflow_stream(TENANT, "w-1"), ())
        another = metadata(command_id="chosen", request_digest="another")
        with pytest.raises(IdempotencyKeyReused):
            await service.give(msgspec.structs.replace(asked, meta=another))
        database.close()
