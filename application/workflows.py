"""Workflows: load, decide, append."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from application.commands import (
    Command,
    CompleteStep,
    FailStep,
    RetryWorkflow,
    StartWorkflow,
    TimeOutStep,
)
from application.deciders import Committed
from application.dispatcher import Handler
from application.event_store import EventStore
from application.ports import Clock
from domain import workflow
from domain.definition import WorkflowDefinition
from domain.errors import DefinitionNotFound, WorkflowNotFound
from domain.event import Event
from domain.workflow import Workflow, workflow_stream


class WorkflowHandlers:
    """Everything that can be asked of workflows."""

    def __init__(self, store: EventStore, clock: Clock, definitions: Sequence[WorkflowDefinition]) -> None:
        self._store = store
        self._clock = clock
        self._definitions = {definition.name: definition for definition in definitions}

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Which method handles which command."""
        return {
            StartWorkflow: self.start_workflow,
            CompleteStep: self.complete_step,
            FailStep: self.fail_step,
            TimeOutStep: self.time_out_step,
            RetryWorkflow: self.retry_workflow,
        }

    async def start_workflow(self, command: StartWorkflow) -> Committed:
        """Begin a workflow; one that is already there is left as it is."""
        definition = self._definition(command.definition, command.version)
        now = self._clock.now()
        return await self._store.execute(
            workflow_stream(command.meta.tenant, command.workflow_id),
            evolve=workflow.evolve,
            decide=lambda state: (
                ()
                if state
                else workflow.start(
                    definition,
                    workflow_id=command.workflow_id,
                    opportunity_id=command.opportunity_id,
                    input=command.input,
                    now=now,
                )
            ),
            meta=command.meta,
            now=now,
        )

    async def complete_step(self, command: CompleteStep) -> Committed:
        """Take a neighbour's answer."""
        return await self._decide(
            command,
            command.workflow_id,
            lambda state, now: workflow.complete_step(
                state, step_type=command.step_type, result=command.result, now=now
            ),
        )

    async def fail_step(self, command: FailStep) -> Committed:
        """Take a neighbour's report of a failure."""
        return await self._decide(
            command,
            command.workflow_id,
            lambda state, now: workflow.fail_step(
                state, step_type=command.step_type, error=command.error, now=now
            ),
        )

    async def time_out_step(self, command: TimeOutStep) -> Committed:
        """Give up on a step that has not answered; a clock that was set back since does not save it."""
        return await self._decide(
            command,
            command.workflow_id,
            lambda state, now: workflow.time_out_step(
                state,
                step_type=command.step_type,
                attempt=command.attempt,
                now=max(now, command.due_at),
            ),
        )

    async def retry_workflow(self, command: RetryWorkflow) -> Committed:
        """Open the next execution."""
        return await self._decide(
            command, command.workflow_id, lambda state, now: workflow.retry(state, now=now)
        )

    async def _decide(
        self,
        command: Command,
        workflow_id: str,
        decide: Callable[[Workflow, datetime], tuple[Event, ...]],
    ) -> Committed:
        now = self._clock.now()

        def decide_existing(state: Workflow | None) -> tuple[Event, ...]:
            if state is None:
                raise WorkflowNotFound(f"there is no workflow {workflow_id}")
            return decide(state, now)

        return await self._store.execute(
            workflow_stream(command.meta.tenant, workflow_id),
            evolve=workflow.evolve,
            decide=decide_existing,
            meta=command.meta,
            now=now,
            expected_version=command.expected_version,
        )

    def _definition(self, name: str, version: int | None) -> WorkflowDefinition:
        definition = self._definitions.get(name)
        if definition is None or version not in (None, definition.version):
            wanted = name if version is None else f"{name} version {version}"
            raise DefinitionNotFound(f"there is no workflow definition {wanted}")
        return definition
