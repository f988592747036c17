"""The engine without its surroundings: a real log and timers in SQLite, commands, and the policies.

Nothing happens by itself. ``settle`` hands every new event to every policy until there are no more, and each
event twice, so that whatever a policy does is seen to be safe to repeat.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from application.approval_terms import Terms
from application.catalogue import ShippedDefinitions
from application.command import Command
from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.event_store import EventStore
from application.held_deadlines import HeldDeadlines
from application.policies import approval_timers, wait_steps, workflow_timers
from application.policies.approval_steps import ApprovalSteps
from application.policies.approval_timers import ApprovalTimers
from application.policies.child_workflows import ChildWorkflows
from application.policies.reaction import Reaction
from application.policies.tasks import TaskSteps
from application.policies.wait_steps import WaitSteps
from application.policies.workflow_timers import WorkflowTimers
from application.tasks import TaskHandlers
from application.timers import DueTimers
from application.workflow_commands import StartWorkflow
from application.workflows import WorkflowHandlers
from domain import workflow
from domain.definition import WorkflowDefinition
from domain.event import Event
from domain.workflow import Workflow, workflow_stream
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.timers import SqliteTimers
from projections.ports import Handler
from tests.application.logs import open_logs, sqlite_settings
from tests.approvals import KnownGroups, approval_handlers
from tests.builders import LEASE, TENANT, SettableClock, metadata
from tests.domain.scenario import fold


class Engine:
    """Runs definitions."""

    def __init__(
        self,
        store: EventStore,
        timers: SqliteTimers,
        definitions: Sequence[WorkflowDefinition],
        terms: Terms | None = None,
    ) -> None:
        self.store = store
        self.clock = SettableClock()
        self.directory = KnownGroups()
        self._timers = timers
        self.is_taken_in = True
        self.configure(*definitions, terms=terms)

    def configure(self, *definitions: WorkflowDefinition, terms: Terms | None = None) -> None:
        """Start anew, with these settings; how far the policies had come was not saved."""
        store, timers = self.store, self._timers
        self.definitions = ShippedDefinitions(definitions)
        self.dispatch = Dispatcher(
            WorkflowHandlers(store, self.clock, self.definitions).handlers(),
            approval_handlers(store, self.clock, self.directory, terms),
            TaskHandlers(store, self.clock).handlers(),
        )
        self.handlers: list[Handler] = [
            WorkflowTimers(timers),
            WaitSteps(timers, self.dispatch),
            Reaction(ApprovalSteps(), self.dispatch),
            Reaction(ChildWorkflows(), self.dispatch),
            Reaction(TaskSteps(), self.dispatch),
            ApprovalTimers(timers, look_again_seconds=3600),
        ]
        commands = {
            **workflow_timers.COMMANDS,
            **approval_timers.COMMANDS,
            wait_steps.TIMER_KIND: wait_steps.wait_is_over,
        }
        held = HeldDeadlines(store, self.clock, self._all_is_taken_in).held
        self._due = DueTimers(timers, self.clock, self.dispatch, commands, held)
        self._position: str | None = None

    async def start(self, definition: str, input: dict[str, Any] | None = None, **more: Any) -> str:
        """Start a workflow, and let all that follows happen; its id."""
        workflow_id = str(uuid4())
        await self.do(
            StartWorkflow(
                meta=metadata(tenant=more.pop("tenant", TENANT)),
                workflow_id=workflow_id,
                opportunity_id=more.pop("opportunity_id", "opp-1"),
                definition=definition,
                input=input,
                **more,
            )
        )
        return workflow_id

    async def do(self, command: Command) -> Committed:
        """Give a command, and let all that follows happen."""
        committed = await self.dispatch(command)
        await self.settle()
        return committed

    async def pass_time(self, **delta: float) -> None:
        """Let time pass, and what is due happen."""
        self.clock.advance(**delta)
        await self._due.fire(LEASE)
        await self.settle()

    async def _all_is_taken_in(self) -> bool:
        return self.is_taken_in

    async def settle(self) -> None:
        """Hand every new event to every policy, twice."""
        while (batch := await self.store.read("log", self._position, 100)) is not None:
            for handler in self.handlers:
                wanted = [recorded for recorded in batch.events if handler.wants(recorded.event)]
                for _ in range(2 if wanted else 0):
                    await handler.handle(wanted, LEASE)
            self._position = batch.position

    async def events(self, workflow_id: str, tenant: str = TENANT) -> list[Event]:
        """What has happened to a workflow."""
        history = await self.store.load(workflow_stream(tenant, workflow_id))
        return [recorded.event for recorded in history]

    async def workflow(self, workflow_id: str, tenant: str = TENANT) -> Workflow:
        """A workflow as it stands."""
        return fold(workflow.evolve, await self.events(workflow_id, tenant))


@asynccontextmanager
async def engine_of(
    folder: Path, *definitions: WorkflowDefinition, terms: Terms | None = None
) -> AsyncIterator[Engine]:
    """An engine with these definitions, on files below a folder."""
    database = SqliteDatabase(folder / "timers.db", synchronous="NORMAL")
    with open_logs(sqlite_settings(folder)) as logs:
        timers = SqliteTimers(database)
        await timers.create()
        yield Engine(logs.store(), timers, definitions, terms)
        database.close()
