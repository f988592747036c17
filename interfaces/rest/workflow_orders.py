"""Commands on a workflow or one of its steps: cancel, pause, resume, skip, retry, complete."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.command import Command
from application.workflow_commands import (
    CancelWorkflow,
    CompleteStepByHand,
    PauseWorkflow,
    ResumeWorkflow,
    RetryStep,
    SkipStep,
)
from domain.errors import StepNotFound
from domain.values import is_uuid
from domain.workflow import Workflow, evolve, workflow_stream
from interfaces.rest.answers import stored_json
from interfaces.rest.folded import document_after
from interfaces.rest.identity import Caller, Operators
from interfaces.rest.models import CompleteStepRequest, OptionalReasonRequest, ReasonRequest
from interfaces.rest.requests import order_in, read_body
from interfaces.rest.service import Service, command_headers
from interfaces.rest.workflows import PREFIX, missing_workflow
from projections.workflows import Workflows

_WORKFLOW = f"{PREFIX}/{{workflowId}}"
_STEP = f"{_WORKFLOW}/steps/{{stepId}}"

Order = Callable[[Request, Caller, str], Awaitable[Command]]


class WorkflowOrderRoutes:
    """The routes of these commands, which return the workflow as it is afterwards."""

    def __init__(self, service: Service, workflows: Workflows, operators: Operators) -> None:
        self._service = service
        self._workflows = workflows
        self._operators = operators

    def routes(self) -> list[Route]:
        """Return all routes."""
        orders: dict[str, Order] = {
            f"{_WORKFLOW}/cancel": self._cancel,
            f"{_WORKFLOW}/pause": _pause,
            f"{_WORKFLOW}/resume": _resume,
            f"{_STEP}/retry": self._retry_step,
            f"{_STEP}/skip": self._skip_step,
            f"{_STEP}/complete": self._complete_step,
        }
        return [self._route(path, order) for path, order in orders.items()]

    def _route(self, path: str, order: Order) -> Route:
        async def answer(request: Request, caller: Caller) -> Response:
            workflow_id = request.path_params["workflowId"]
            if not is_uuid(workflow_id):
                raise missing_workflow(workflow_id)
            command = await order(request, caller, workflow_id.lower())
            committed = await self._service.execute(command)
            return stored_json(
                await document_after(self._service.store, self._workflows, workflow_id.lower(), committed),
                headers=command_headers(committed.version, committed.position),
            )

        return self._service.route(path, answer, "POST", versioned=True)

    async def _cancel(self, request: Request, caller: Caller, workflow_id: str) -> Command:
        body = await read_body(request, ReasonRequest)
        return CancelWorkflow(
            **order_in(request, caller),
            workflow_id=workflow_id,
            reason=body.reason,
            may_do_all=self._operators.has(caller),
        )

    async def _skip_step(self, request: Request, caller: Caller, workflow_id: str) -> Command:
        body = await read_body(request, ReasonRequest)
        return SkipStep(
            **order_in(request, caller),
            workflow_id=workflow_id,
            step_id=await self._step_id(request, caller, workflow_id),
            reason=body.reason,
            may_do_all=self._operators.has(caller),
        )

    async def _complete_step(self, request: Request, caller: Caller, workflow_id: str) -> Command:
        body = await read_body(request, CompleteStepRequest)
        return CompleteStepByHand(
            **order_in(request, caller),
            workflow_id=workflow_id,
            step_id=await self._step_id(request, caller, workflow_id),
            result=body.result,
            may_do_all=self._operators.has(caller),
        )

    async def _retry_step(self, request: Request, caller: Caller, workflow_id: str) -> Command:
        body = await read_body(request, OptionalReasonRequest, optional=True)
        return RetryStep(
            **order_in(request, caller),
            workflow_id=workflow_id,
            step_id=await self._step_id(request, caller, workflow_id),
            reason=body.reason,
        )

    async def _step_id(self, request: Request, caller: Caller, workflow_id: str) -> str:
        """Return the step's ID in the path.

        Raises:
            WorkflowNotFound: the path has no UUID, and the workflow does not exist.
            StepNotFound: the path has no UUID. If it has the step's type instead, the error has the ID.
        """
        given: str = request.path_params["stepId"]
        if is_uuid(given):
            return given.lower()
        stream = workflow_stream(caller.tenant, workflow_id)
        state: Workflow | None = (await self._service.store.present(stream, evolve)).state
        if state is None:
            raise missing_workflow(workflow_id)
        step = state.step(given)
        if step is None:
            raise StepNotFound(f"the workflow has no step {given}; the path needs a stepId, which is a UUID")
        raise StepNotFound(
            f"the path needs the stepId of the step {given}, which is {step.step_id}",
            {"stepId": step.step_id},
        )


async def _pause(request: Request, caller: Caller, workflow_id: str) -> Command:
    body = await read_body(request, OptionalReasonRequest, optional=True)
    return PauseWorkflow(
        **order_in(request, caller),
        workflow_id=workflow_id,
        reason=body.reason,
    )


async def _resume(request: Request, caller: Caller, workflow_id: str) -> Command:
    body = await read_body(request, OptionalReasonRequest, optional=True)
    return ResumeWorkflow(
        **order_in(request, caller),
        workflow_id=workflow_id,
        reason=body.reason,
    )
