"""Workflows: load, decide, append."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn, Protocol

from application.chains import chain_before, present_workflow
from application.command import Command, moment_of
from application.deciders import Committed
from application.dispatcher import Handler
from application.event_store import EventStore
from application.held_back import held_back
from application.inputs import input_of_child, refuse_bad_input
from application.lineage import is_let_go, workflows_above
from application.ports import Clock
from application.starters import starter_of
from application.workflow_commands import (
    CancelWorkflow,
    CompleteStep,
    CompleteStepByHand,
    FailStep,
    PassDeadline,
    PauseWorkflow,
    QueueWorkflow,
    RequestRun,
    ResumeWorkflow,
    RetryStep,
    RetryWorkflow,
    SkipStep,
    StartWorkflow,
    TakeReply,
    TimeOutStep,
    TryStepAgain,
)
from domain import workflow
from domain.definition import WorkflowDefinition
from domain.errors import BadInput, NotAllowed, OpportunityRequired, Refusal, WorkflowNotFound
from domain.event import Event
from domain.faults import Fault
from domain.values import is_same_json
from domain.workflow import Workflow, workflow_stream
from domain.workflow.rights import (
    require_may_ask_with_other_input,
    require_may_cancel_below,
    require_nobody_asked_above,
    require_none_asked_above,
)

Decide = Callable[[Workflow, Any, datetime], tuple[Event, ...]]


class Definitions(Protocol):
    """Finds workflow definitions."""

    async def find(self, tenant: str, name: str, version: int | None) -> WorkflowDefinition:
        """Return a definition, in its newest version if none is named.

        Raises:
            DefinitionNotFound: the tenant has none of that name, or not that version of it.
            DefinitionIsRetired: it starts no more workflows.
        """
        ...

    async def accepted(self, tenant: str, name: str, version: int | None) -> WorkflowDefinition:
        """Return a definition for a start that was accepted earlier: the version of that time, even if it is
        retired since. A definition that comes with the service has only its present version.

        Raises:
            DefinitionNotFound: the tenant has none of that name, or not that version of it.
            DefinitionIsRetired: no version is named, and none starts workflows.
        """
        ...


class WorkflowHandlers:
    """The handlers of the commands about workflows."""

    def __init__(self, store: EventStore, clock: Clock, definitions: Definitions) -> None:
        self._store = store
        self._clock = clock
        self._definitions = definitions

    def handlers(self) -> Mapping[type[Command], Handler]:
        """Return the handler of each command."""
        return {
            StartWorkflow: self.start_workflow,
            QueueWorkflow: self.queue_workflow,
            **dict.fromkeys(_DECISIONS, self.decide_existing),
        }

    async def queue_workflow(self, command: QueueWorkflow) -> Committed:
        """Let a workflow wait. One that exists is left as it is.

        Raises:
            DefinitionNotFound, OpportunityRequired: as for a start.
        """
        definition = await held_back(self.definition_for(command))
        now = self._clock.now()
        return await self._store.execute(
            workflow_stream(command.meta.tenant, command.workflow_id),
            evolve=workflow.evolve,
            decide=lambda state: (
                ()
                if state
                else workflow.queue(
                    definition(),
                    workflow_id=command.workflow_id,
                    opportunity_id=command.opportunity_id,
                    input=command.input,
                    now=now,
                    concurrency_group=command.concurrency_group,
                )
            ),
            meta=command.meta,
            now=now,
        )

    async def start_workflow(self, command: StartWorkflow) -> Committed:
        """Begin a workflow. One that exists is left as it is, whatever its definition says now.

        Raises:
            DefinitionNotFound: there is no such definition.
            DefinitionIsRetired: it starts no more workflows.
            OpportunityRequired: it is for opportunities, and none is named.
            BadInput: the input does not fit the definition; with every fault.
        """
        accepted = await held_back(self._accepted(command))
        now, starter, chain = self._clock.now(), None, command.chain
        if command.begun_by is not None:
            starter = await starter_of(self._store, command.meta.tenant, command.begun_by)
            chain = await chain_before(self._store, command.meta.tenant, command.begun_by)

        def decide(state: Workflow | None) -> tuple[Event, ...]:
            if state and state.status != "pending":
                return ()
            definition, input = accepted()
            return workflow.start(
                definition,
                workflow_id=command.workflow_id,
                opportunity_id=command.opportunity_id,
                concurrency_group=command.concurrency_group,
                input=input,
                now=now,
                parent=command.parent,
                depth=command.depth,
                breadth=command.breadth,
                started_by=starter,
                chain=chain,
            )

        return await self._store.execute(
            workflow_stream(command.meta.tenant, command.workflow_id),
            evolve=workflow.evolve,
            decide=decide,
            meta=command.meta,
            now=now,
        )

    async def definition_for(self, command: StartWorkflow | QueueWorkflow | RequestRun) -> WorkflowDefinition:
        """Return the definition that a command wants to run.

        Raises:
            DefinitionNotFound: there is no such definition.
            DefinitionIsRetired: it starts no more workflows.
            OpportunityRequired: it is for opportunities, and none is named; with every fault of the input.
            BadInput: the input does not fit the definition; with every fault.
        """
        definition, _ = await self._accepted(command)
        return definition

    async def _accepted(
        self, command: StartWorkflow | QueueWorkflow | RequestRun
    ) -> tuple[WorkflowDefinition, Mapping[str, Any] | None]:
        """Return the same, and the input of the workflow."""
        waited = not isinstance(command, RequestRun) and command.accepted
        find = self._definitions.accepted if waited else self._definitions.find
        definition = await find(command.meta.tenant, command.definition, command.version)
        input = command.input
        if isinstance(command, StartWorkflow) and command.begun_by is not None:
            input = await input_of_child(command.meta.tenant, definition, input)
        if definition.needs_opportunity and command.opportunity_id is None:
            await _refuse_without_opportunity(command.meta.tenant, definition, input)
        await refuse_bad_input(command.meta.tenant, definition, input)
        return definition, input

    async def would_do(self, command: Command) -> bool:
        """Return whether a command would change anything now. Nothing is stored.

        Raises:
            Refusal: the command would be refused, for this reason.
        """
        workflow_id: str = getattr(command, "workflow_id", "")
        stream = workflow_stream(command.meta.tenant, workflow_id)
        state = (await self._store.present(stream, workflow.evolve)).state
        if state is None:
            raise WorkflowNotFound(f"there is no workflow {workflow_id}")
        await self._required(command)
        return bool(_DECISIONS[type(command)](state, command, self._clock.now()))

    async def decide_existing(self, command: Any) -> Committed:
        """Handle a command about an existing workflow, by the rule that decides on it.

        Raises:
            WorkflowNotFound: there is none.
            BadInput: a retry gives other input, which does not fit the definition; with every fault.
            NotAllowed: people decide on it, in this workflow or in one above it, and this is no operator.
            Refusal: as the rule in :mod:`domain.workflow` says.
        """
        require = await held_back(self._required(command))
        now = self._clock.now()

        def decide(state: Workflow | None) -> tuple[Event, ...]:
            if state is None:
                raise WorkflowNotFound(f"there is no workflow {command.workflow_id}")
            require()
            return _DECISIONS[type(command)](state, command, now)

        return await self._store.execute(
            workflow_stream(command.meta.tenant, command.workflow_id),
            evolve=workflow.evolve,
            decide=decide,
            meta=command.meta,
            now=now,
            expected_version=command.expected_version,
            keeps_correlation=command.names_no_correlation or command.meta.names_no_correlation,
        )

    async def _required(self, command: Command) -> None:
        """Check what depends on more than the workflow's own stream.

        Raises:
            BadInput, NotAllowed: as above.
        """
        match command:
            case RetryWorkflow():
                await self._require_other_input(command)
            case CancelWorkflow():
                await self._require_may_cancel(command)
            case SkipStep() | CompleteStepByHand():
                await self._require_none_asked_above(command)

    async def _require_may_cancel(self, command: CancelWorkflow) -> None:
        state = await present_workflow(self._store, command.meta.tenant, command.workflow_id)
        if state is not None and not command.may_do_all:
            require_may_cancel_below(state, await workflows_above(self._store, command.meta.tenant, state))

    async def _require_none_asked_above(self, command: SkipStep | CompleteStepByHand) -> None:
        tenant = command.meta.tenant
        state = await present_workflow(self._store, tenant, command.workflow_id)
        step = state.step(command.step_id) if state is not None else None
        if state is None or step is None or command.may_do_all:
            return
        if isinstance(command, CompleteStepByHand) and step.work.parameters.get("accepted"):
            return
        require_none_asked_above(await workflows_above(self._store, tenant, state))

    async def _require_other_input(self, command: RetryWorkflow) -> None:
        tenant, input = command.meta.tenant, command.input
        state = await present_workflow(self._store, tenant, command.workflow_id)
        if state is None or input is None:
            return
        await self._refuse_other_input(command, state)
        if command.may_do_all or is_same_json(input, state.input):
            return
        above = await workflows_above(self._store, tenant, state)
        require_nobody_asked_above(above)
        if await is_let_go(self._store, tenant, above[-1].state if above else state):
            raise NotAllowed(
                "the input is from a step that did not wait for the workflow: only an operator may change it"
            )
        starter = await starter_of(self._store, tenant, command.workflow_id)
        require_may_ask_with_other_input(state, by_its_starter=starter == command.meta.actor)

    async def _refuse_other_input(self, command: RetryWorkflow, state: Workflow) -> None:
        """Check other input by the version that the workflow runs. If that is retired, the workflow's steps
        say what does not fit."""
        try:
            definition = await self._definitions.find(
                command.meta.tenant, state.definition_name, state.definition_version
            )
        except Refusal:
            return
        await refuse_bad_input(command.meta.tenant, definition, command.input)


async def _refuse_without_opportunity(
    tenant: str, definition: WorkflowDefinition, input: Mapping[str, Any] | None
) -> NoReturn:
    message = f"{definition.name} needs an opportunity"
    found: list[BadInput] = [OpportunityRequired(message, [Fault("opportunityId", message)])]
    try:
        await refuse_bad_input(tenant, definition, input)
    except BadInput as bad:
        found.append(bad)
    raise OpportunityRequired.together(found)


_DECISIONS: Mapping[type[Command], Decide] = {
    CompleteStep: lambda state, command, now: workflow.complete_step(
        state, step_type=command.step, result=command.result, attempt=command.attempt, now=now
    ),
    FailStep: lambda state, command, now: workflow.fail_step(
        state,
        step_type=command.step,
        error=command.error,
        reason=command.reason,
        attempt=command.attempt,
        left_undone=command.left_undone,
        now=now,
    ),
    TakeReply: lambda state, command, now: workflow.take_reply(
        state, message_type=command.message_type, data=command.data, now=now, answer=command.answer
    ),
    TimeOutStep: lambda state, command, now: workflow.time_out_step(
        state, step_type=command.step, attempt=command.attempt, now=moment_of(command, now)
    ),
    TryStepAgain: lambda state, command, now: workflow.try_step_again(
        state, step_type=command.step, attempt=command.attempt, now=moment_of(command, now)
    ),
    PassDeadline: lambda state, command, now: workflow.pass_deadline(
        state, execution_id=command.execution_id, now=moment_of(command, now)
    ),
    RetryWorkflow: lambda state, command, now: workflow.retry(
        state,
        from_step=command.from_step,
        input=command.input,
        reason=command.reason,
        may_do_all=command.may_do_all,
        now=now,
    ),
    CancelWorkflow: lambda state, command, now: workflow.cancel(state, reason=command.reason, now=now),
    PauseWorkflow: lambda state, command, now: workflow.pause(state, reason=command.reason, now=now),
    ResumeWorkflow: lambda state, command, now: workflow.resume(state, reason=command.reason, now=now),
    SkipStep: lambda state, command, now: workflow.skip_step(
        state, step_id=command.step_id, reason=command.reason, may_do_all=command.may_do_all, now=now
    ),
    CompleteStepByHand: lambda state, command, now: workflow.complete_by_hand(
        state, step_id=command.step_id, result=command.result, may_do_all=command.may_do_all, now=now
    ),
    RetryStep: lambda state, command, now: workflow.retry_step(
        state, step_id=command.step_id, reason=command.reason, now=now
    ),
}
"""The rule that decides on each command about an existing workflow."""
