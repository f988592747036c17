"""What runs of workflows need, on a real log: the commands, the policy, the timers."""

from collections.abc import Iterable, Sequence
from typing import Any

from application.catalogue import Catalogue, ShippedDefinitions
from application.command import Command
from application.concurrency import ConcurrencyHandlers
from application.deciders import Committed
from application.definitions import DefinitionHandlers
from application.dispatcher import Dispatcher
from application.event_store import EventStore
from application.pacing import StartPace
from application.policies.child_workflows import ChildWorkflows
from application.policies.concurrency import COMMANDS, ConcurrencyGroups
from application.policies.reaction import Reaction
from application.timers import DueTimers
from application.workflow_commands import CompleteStep, RequestRun
from application.workflows import WorkflowHandlers
from domain.concurrency import concurrency_stream, group_of
from domain.definition import OPPORTUNITY_ANALYSIS, Concurrency, StepDefinition, Work, WorkflowDefinition
from domain.event import Recorded
from domain.workflow import Workflow, evolve
from infrastructure.sqlite.timers import SqliteTimers
from projections.ports import Handler
from tests.builders import LEASE, TENANT, SettableClock, metadata


def plan(name: str, **concurrency: Any) -> WorkflowDefinition:
    """One step, and another that can be undone."""
    return WorkflowDefinition(
        name=name,
        version=1,
        steps=(
            StepDefinition(
                step_type="book", result_key="book", compensation=Work(parameters={"request": "u"})
            ),
            StepDefinition(step_type="work", result_key="work", critical=True),
        ),
        concurrency=Concurrency(**concurrency),
    )


DEFINITIONS = [
    OPPORTUNITY_ANALYSIS,
    plan("allowing"),
    WorkflowDefinition(
        name="replacing-above",
        version=1,
        steps=(
            StepDefinition(
                step_type="run",
                result_key="run",
                kind="workflow",
                parameters={"definition": "allowing"},
                critical=True,
            ),
        ),
        concurrency=Concurrency(policy="replace"),
    ),
    plan("skipping", policy="skip"),
    plan("replacing", policy="replace"),
    plan("queueing", policy="queue"),
    plan("debounced", policy="queue", debounce_seconds=10.0),
    plan("keyed", policy="queue", key="input.region"),
]


class Orchestrator:
    """What runs need, on files below a folder. ``twice`` repeats whatever may be repeated."""

    def __init__(
        self,
        store: EventStore,
        timers: SqliteTimers,
        clock: SettableClock,
        pace: StartPace,
        more: Iterable[WorkflowDefinition] = (),
        *,
        twice: bool,
    ) -> None:
        self.store = store
        self.clock = clock
        self.twice = twice
        shipped = ShippedDefinitions([*DEFINITIONS, *more])
        self.definitions = Catalogue(shipped, store)
        workflows = WorkflowHandlers(store, clock, self.definitions)
        self.dispatch = Dispatcher(
            workflows.handlers(),
            ConcurrencyHandlers(store, clock, workflows, pace).handlers(),
            DefinitionHandlers(store, clock, shipped).handlers(),
        )
        self.runs = ConcurrencyGroups(self.dispatch, timers)
        self.handlers: list[Handler] = [self.runs, Reaction(ChildWorkflows(), self.dispatch)]
        self.timers = timers
        self.position: str | None = None
        self.log: list[Recorded] = []
        self._unfollowed: list[Recorded] = []

    async def ask(
        self, workflow_id: str, definition: str = "queueing", *, tenant: str = TENANT, **more: Any
    ) -> Committed:
        """Ask for a run; ``command`` is the id of the request or message."""
        command_id = more.pop("command", f"asks-for-{workflow_id}")
        return await self.give(
            RequestRun(
                meta=metadata(tenant=tenant, command_id=command_id),
                workflow_id=workflow_id,
                definition=definition,
                **{"opportunity_id": "opp-1", **more},
            )
        )

    async def give(self, command: Command) -> Committed:
        committed = await self.dispatch(command)
        return await self.dispatch(command) if self.twice else committed

    async def complete(self, workflow_id: str, *steps: str) -> None:
        for step in steps or ("book", "work"):
            command = CompleteStep(meta=metadata(), workflow_id=workflow_id, step=step, result={})
            await self.give(command)

    async def settle(self) -> None:
        """Let the policy follow the log to its end, and what is due fire."""
        while await self._follow() or await self._fire():
            pass

    async def pass_over(self) -> None:
        """Let the policy come past what is in the log without acting on it: a version of old has."""
        await self._read()
        self._unfollowed.clear()

    async def statuses(self, tenant: str = TENANT) -> dict[str, str]:
        """Each workflow that there is, in the order of their beginnings, and its status."""
        await self._read()
        found: dict[str, Workflow | None] = {}
        for each in self.log:
            if each.stream.startswith(f"{tenant}/workflow/"):
                name = each.stream.rpartition("/")[2]
                found[name] = evolve(found.get(name), each.event)
        return {name: state.status for name, state in found.items() if state is not None}

    async def group_events(self, definition: WorkflowDefinition, opportunity_id: str = "opp-1") -> list[str]:
        group = group_of(definition, opportunity_id, None)
        events = await self.store.load(concurrency_stream(TENANT, group))
        return [type(each.event).__name__ for each in events]

    async def _read(self) -> Sequence[Recorded]:
        (partition,) = await self.store.partitions()
        batch = await self.store.read(partition, self.position, 1000)
        if batch is None:
            return ()
        self.position = batch.position
        self.log.extend(batch.events)
        self._unfollowed.extend(batch.events)
        return batch.events

    async def _follow(self) -> bool:
        await self._read()
        new, self._unfollowed = self._unfollowed, []
        has_wanted = False
        for handler in self.handlers:
            wanted = [each for each in new if handler.wants(each.event)]
            has_wanted = has_wanted or bool(wanted)
            for _ in range(2 if self.twice else 1):
                await handler.handle(wanted, LEASE)
        return has_wanted

    async def _fire(self) -> bool:
        due = await self.timers.due(self.clock.now(), 100)
        for _ in range(2 if self.twice else 1):
            if self.twice and due:
                await self.timers.change(set=due, cancel=(), lease=LEASE)
            await DueTimers(self.timers, self.clock, self.dispatch, COMMANDS).fire(LEASE)
        return bool(due)
