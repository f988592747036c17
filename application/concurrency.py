"""Concurrency groups: whether a run that is asked for starts now, waits, or does not happen."""

from collections.abc import Mapping
from typing import Any

import msgspec

from application.chains import refuse_too_long
from application.command import Command, moment_of
from application.deciders import Committed
from application.dispatcher import Handler
from application.event_store import EventStore
from application.pacing import StartPace
from application.ports import Clock
from application.workflow_commands import EndRun, PassDebounce, QueueWorkflow, RequestRun, StartWorkflow
from application.workflows import WorkflowHandlers
from domain import concurrency, workflow
from domain.concurrency import (
    ConcurrencyGroup,
    Start,
    StartDebounced,
    StartGranted,
    concurrency_stream,
    group_of,
)
from domain.definition import WorkflowDefinition
from domain.errors import Refusal, ThingArchived
from domain.event import Recorded
from domain.values import derived_id
from domain.workflow import Workflow, workflow_stream

ACTOR = "system:runs"


class _Occupied(Exception):
    """A run of the group is under way, and it must be known first whether that will report its end."""

    def __init__(self, workflow_id: str) -> None:
        super().__init__(workflow_id)
        self.workflow_id = workflow_id


class ConcurrencyHandlers:
    """The handlers of the commands about concurrency groups."""

    def __init__(self, store: EventStore, clock: Clock, workflows: WorkflowHandlers, pace: StartPace) -> None:
        self._store = store
        self._clock = clock
        self._workflows = workflows
        self._pace = pace

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Return the handler of each command."""
        return {RequestRun: self.request_run, PassDebounce: self.pass_debounce, EndRun: self.end_run}

    async def request_run(self, command: RequestRun) -> Committed:
        """Ask for a run. The answer to an explicit request is the workflow, started or pending. The answer to
        a message is the group, whose policy starts the workflow. The run is of the version that was checked
        here, however long it waits.

        Raises:
            DefinitionNotFound: there is no such definition.
            OpportunityRequired: it is for opportunities, and none is named.
            BadInput: the definition's concurrency key does not fit the input.
            WorkflowAlreadyRunning, TooManyWaiting: an explicit request is refused.
            TooLongAChain: workflows start each other by the messages that they send, and would do so for
                ever.
        """
        refuse_too_long(command.chain, command.definition)
        try:
            definition = await self._workflows.definition_for(command)
        except Refusal:
            if command.explicit and await self._came_before(command):
                return await self._workflows.start_workflow(StartWorkflow(**_asked(command)))
            raise
        command = msgspec.structs.replace(command, version=definition.version)
        if command.explicit:
            return await self._request_explicitly(command, definition)
        return await self._request_quietly(command, definition)

    async def pass_debounce(self, command: PassDebounce) -> Committed:
        """Start what has waited for its debounce time."""
        now = moment_of(command, self._clock.now())
        return await self._store.execute(
            concurrency_stream(command.meta.tenant, command.group),
            evolve=concurrency.evolve,
            decide=lambda state: (
                () if state is None else concurrency.pass_debounce(state, command.workflow_id, now=now)
            ),
            meta=command.meta,
            now=now,
        )

    async def end_run(self, command: EndRun) -> Committed:
        """Make room for the next run of a group."""
        now = self._clock.now()
        return await self._store.execute(
            concurrency_stream(command.meta.tenant, command.group),
            evolve=concurrency.evolve,
            decide=lambda state: (
                () if state is None else concurrency.end_run(state, command.workflow_id, now=now)
            ),
            meta=command.meta,
            now=now,
        )

    async def _request_explicitly(self, command: RequestRun, definition: WorkflowDefinition) -> Committed:
        if definition.concurrency.policy == "allow":
            return await self._workflows.start_workflow(StartWorkflow(**_asked(command)))
        if await self._came_before(command):
            return await self._workflows.start_workflow(StartWorkflow(**_asked(command)))
        group = group_of(definition, command.opportunity_id, command.input)
        committed = await self._request(command, definition, group)
        if committed.past.state.waiting_for(command.workflow_id):
            return await self._workflows.queue_workflow(
                QueueWorkflow(**_asked(command), concurrency_group=group)
            )
        return await self._workflows.start_workflow(StartWorkflow(**_asked(command), concurrency_group=group))

    async def _came_before(self, command: RequestRun) -> bool:
        """Return whether a workflow exists under the command's ``Idempotency-Key``, of the same request or of
        another. If so, neither its definition nor a group is looked up."""
        if command.meta.request_digest is None:
            return False
        stream = workflow_stream(command.meta.tenant, command.workflow_id)
        return (await self._store.present(stream, workflow.evolve)).version > 0

    async def _request_quietly(self, command: RequestRun, definition: WorkflowDefinition) -> Committed:
        coalesces = definition.concurrency.policy != "allow" or definition.concurrency.debounce_seconds > 0
        if coalesces:
            group = group_of(definition, command.opportunity_id, command.input)
        else:
            group = f"{definition.name}/{command.workflow_id}"
        committed = await self._request(command, definition, group)
        if any(map(_takes_a_place, committed.new)):
            self._pace.take(command.meta.tenant, self._clock.now())
        return committed

    async def _request(self, command: RequestRun, definition: WorkflowDefinition, group: str) -> Committed:
        looked_at: str | None = None
        now = self._clock.now()
        rule = definition.concurrency
        start = Start(
            workflow_id=command.workflow_id,
            definition=definition.name,
            version=command.version,
            opportunity_id=command.opportunity_id,
            input=command.input,
            policy=rule.policy,
            explicit=command.explicit,
            actor=command.meta.actor,
            correlation_id=command.meta.correlation_id,
            causation_id=command.meta.causation_id,
            chain=command.chain,
        )
        not_before = self._pace.next(command.meta.tenant, now)

        def decide(state: ConcurrencyGroup | None) -> Any:
            if state is not None and state.running not in (None, looked_at):
                raise _Occupied(state.running)
            return concurrency.request_start(
                state,
                start,
                group=group,
                now=now,
                debounce_seconds=rule.debounce_seconds,
                not_before=not_before,
            )

        while True:
            try:
                return await self._store.execute(
                    concurrency_stream(command.meta.tenant, group),
                    evolve=concurrency.evolve,
                    decide=decide,
                    meta=command.meta,
                    now=now,
                )
            except _Occupied as occupied:
                looked_at = occupied.workflow_id
                await self._free(command, group, looked_at)

    async def _free(self, command: RequestRun, group: str, running: str) -> None:
        """End a run that will never report its end to this group. An older release granted groups runs that
        belonged to another group, or that were over already, and such a group has waited since. A run that
        has not begun yet is waited for."""
        if await self._may_tell_its_end(command.meta.tenant, running, group):
            return
        command_id = derived_id("free", command.meta.command_id, running)
        meta = msgspec.structs.replace(command.meta, actor=ACTOR, command_id=command_id, request_digest=None)
        await self.end_run(EndRun(meta=meta, group=group, workflow_id=running))

    async def _may_tell_its_end(self, tenant: str, workflow_id: str, group: str) -> bool:
        stream = workflow_stream(tenant, workflow_id)
        try:
            there: Workflow | None = (await self._store.present(stream, workflow.evolve)).state
        except ThingArchived:
            return False
        return there is None or there.status == "pending" or there.will_make_room_in(group)


def _asked(command: RequestRun) -> dict[str, Any]:
    names = ("meta", "workflow_id", "opportunity_id", "definition", "version", "input")
    return {name: getattr(command, name) for name in names}


def _takes_a_place(recorded: Recorded) -> bool:
    """Return whether a start took its place in the tenant's pace by this event. A start that is postponed
    further took its place before."""
    event = recorded.event
    return isinstance(event, StartGranted) or (
        isinstance(event, StartDebounced) and event.since == recorded.timestamp
    )
