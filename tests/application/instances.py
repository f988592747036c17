"""Two processes on one log, each with a clock of its own: one takes commands, the other fires timers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from application.catalogue import ShippedDefinitions
from application.command import Command
from application.dispatcher import Dispatcher
from application.event_log import EventLog
from application.event_store import EventStore
from application.policies.workflow_timers import COMMANDS, WorkflowTimers
from application.timers import DueTimers
from application.workflow_commands import FailStep, StartWorkflow
from application.workflows import WorkflowHandlers
from domain.definition import WorkflowDefinition
from domain.event import Recorded
from domain.workflow import Workflow, evolve, workflow_stream
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.timers import SqliteTimers
from tests.application.logs import Settings, open_logs
from tests.builders import LEASE, TENANT, SettableClock, after, metadata
from tests.domain.plans import ONCE_MORE, step

PLAN = WorkflowDefinition(name="plan", version=1, steps=(step("a", retry=ONCE_MORE, timeout_seconds=30.0),))
STREAM = workflow_stream(TENANT, "w-1")
NEXT_TRY = after(minutes=1)


class Instance:
    """A process with a clock of its own, on the log and the timers of all."""

    def __init__(self, log: EventLog, timers: SqliteTimers) -> None:
        self.log = log
        self.store = EventStore(log)
        self.clock = SettableClock()
        self._timers = timers
        workflows = WorkflowHandlers(self.store, self.clock, ShippedDefinitions([PLAN]))
        self._dispatch = Dispatcher(workflows.handlers())
        self._due = DueTimers(timers, self.clock, self._dispatch, COMMANDS, catch_up=self.store.catch_up)

    async def give(self, command: Command) -> Sequence[Recorded]:
        committed = await self._dispatch(command)
        await self.keep_timers(committed.new)
        return committed.new

    async def keep_timers(self, events: Sequence[Recorded]) -> None:
        """What the policy does once these events are in the log."""
        policy = WorkflowTimers(self._timers)
        await policy.handle([each for each in events if policy.wants(each.event)], LEASE)

    async def fire(self) -> int:
        return await self._due.fire(LEASE)

    async def state(self) -> Workflow:
        state: Workflow = (await self.store.present(STREAM, evolve)).state
        return state


@asynccontextmanager
async def two_instances(settings: Settings, folder: Path) -> AsyncIterator[tuple[Instance, Instance]]:
    """The one that takes commands, and the one that gives those of timers."""
    database = SqliteDatabase(folder / "timers.db", synchronous="NORMAL")
    timers = SqliteTimers(database)
    await timers.create()
    with open_logs(settings) as logs:
        instances = Instance(logs.open(), timers), Instance(logs.open(), timers)
        yield instances
        for each in instances:
            each.store.close()
    database.close()


def started() -> Command:
    """What begins a workflow of one step."""
    return StartWorkflow(meta=metadata(), workflow_id="w-1", opportunity_id=None, definition="plan")


def failed() -> Command:
    """What its step is tried again after."""
    return FailStep(meta=metadata(), workflow_id="w-1", step="a", error="no")
