"""``/workflows``: start, list, read and retry workflows."""

from collections.abc import Sequence
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.deciders import Committed
from application.policies.child_workflows import ChildWorkflows
from application.workflow_commands import RequestRun, RetryWorkflow
from domain.errors import DefinitionNotFound, WorkflowNotFound
from domain.event import Recorded
from domain.values import is_uuid
from domain.workflow import WorkflowRetried, workflow_stream
from interfaces.rest.answers import json_response, stored_json
from interfaces.rest.as_of import asked_as_of
from interfaces.rest.definition_names import DefinitionNames
from interfaces.rest.folded import document_after
from interfaces.rest.idempotency import id_to_make
from interfaces.rest.identity import Caller, Operators
from interfaces.rest.models import Paging, RetryRequest, StartWorkflowRequest, WorkflowFilters
from interfaces.rest.requests import caused_by, order_in, read_body, read_query
from interfaces.rest.service import Service, Shown, command_headers
from projections.executions import Executions
from projections.map_items import is_outdated, map_step_named
from projections.ports import Container, Document
from projections.projection import DocumentFold, decoded
from projections.steps import Steps
from projections.workflows import Workflows

PREFIX = "/api/v1/workflows"

_NAMED = 10
"""How many of the steps that run again are named."""

_encode = msgspec.json.Encoder().encode


class WorkflowRoutes:
    """The routes of workflows."""

    def __init__(
        self,
        service: Service,
        workflows: Workflows,
        steps: Steps,
        executions: Executions,
        operators: Operators,
        definitions: DefinitionNames,
    ) -> None:
        self._definitions = definitions
        self._service = service
        self._operators = operators
        self._workflows = workflows
        self._steps = steps
        self._executions = executions

    def routes(self) -> list[Route]:
        """Return all routes."""
        route, policy = self._service.route, ChildWorkflows.name
        workflows = self._workflows.container
        return [
            route(PREFIX, self.list, "GET", reads=[workflows]),
            route(PREFIX, self.start, "POST"),
            route(f"{PREFIX}/{{workflowId}}", self.get, "GET", reads=[workflows], made_by=policy),
            route(
                f"{PREFIX}/{{workflowId}}/steps",
                self.steps,
                "GET",
                reads=[workflows, self._steps.container],
                made_by=policy,
            ),
            route(
                f"{PREFIX}/{{workflowId}}/executions",
                self.executions,
                "GET",
                reads=[workflows, self._executions.container],
                made_by=policy,
            ),
            route(f"{PREFIX}/{{workflowId}}/events", self.events, "GET", reads=[], made_by=policy),
            route(f"{PREFIX}/{{workflowId}}/retry", self.retry, "POST", versioned=True),
        ]

    async def start(self, request: Request, caller: Caller) -> Response:
        """Start a workflow, or let it wait for runs that it must not overlap with."""
        body = await read_body(request, StartWorkflowRequest)
        workflow_id = id_to_make(request, caller)
        command = RequestRun(
            meta=caused_by(request, caller),
            workflow_id=workflow_id,
            opportunity_id=body.opportunity_id,
            definition=body.definition,
            version=body.version,
            input=body.input,
            explicit=True,
        )
        try:
            committed = await self._service.dispatch(command)
        except DefinitionNotFound as unknown:
            raise await self._definitions.with_suggestions(unknown, caller, body.definition) from None
        headers = command_headers(committed.version, committed.position)
        headers["Location"] = f"{PREFIX}/{workflow_id}"
        return stored_json(await self._document(workflow_id, committed), status=202, headers=headers)

    async def list(self, request: Request, caller: Caller) -> Response:
        """Return the tenant's workflows, newest first."""
        filters = read_query(request, WorkflowFilters)
        return await self._service.page(
            request,
            self._workflows.container,
            caller,
            "workflows",
            filters,
            equal={
                "opportunityId": filters.opportunity_id,
                "status": filters.status,
                "definition": filters.definition,
            },
            **filters.sort_range,
        )

    async def get(self, request: Request, caller: Caller) -> Response:
        """Return one workflow, as it is now or was at ``asOf``."""
        workflow_id = request.path_params["workflowId"]
        return await self._service.document(
            self._workflows,
            caller,
            workflow_id,
            stream=workflow_stream(caller.tenant, workflow_id.lower()),
            missing=missing_workflow(workflow_id),
            as_of=asked_as_of(request),
        )

    async def steps(self, request: Request, caller: Caller) -> Response:
        """Return the workflow's steps."""
        told = partial(self._with_outdated_items, caller)
        return await self._parts(request, caller, "steps", self._steps.container, shown=told)

    async def executions(self, request: Request, caller: Caller) -> Response:
        """Return the workflow's executions."""
        return await self._parts(request, caller, "executions", self._executions.container)

    async def events(self, request: Request, caller: Caller) -> Response:
        """Return the workflow's audit trail."""
        workflow_id = request.path_params["workflowId"]
        paging = read_query(request, Paging)
        stream = workflow_stream(caller.tenant, workflow_id.lower())
        missing = missing_workflow(workflow_id)
        return await self._service.history(request, workflow_id, stream, paging, missing)

    async def retry(self, request: Request, caller: Caller) -> Response:
        """Start the next execution of a workflow."""
        body = await read_body(request, RetryRequest, optional=True)
        workflow_id = request.path_params["workflowId"].lower()
        if not is_uuid(workflow_id):
            raise missing_workflow(workflow_id)
        committed = await self._service.execute(
            RetryWorkflow(
                **order_in(request, caller),
                workflow_id=workflow_id,
                from_step=body.from_step,
                input=body.input,
                reason=body.reason,
                may_do_all=self._operators.has(caller),
            )
        )
        fold, retried = DocumentFold(self._workflows, workflow_id), None
        async for events in self._service.store.parts_left_by(committed):
            fold.take(events)
            retried = _last_retry(events) or retried
        assert retried is not None
        workflow = msgspec.json.decode(fold.body())
        return json_response(
            {
                "workflowId": workflow_id,
                "executionId": workflow["executionId"],
                "status": workflow["status"],
                "message": _what_runs_again(retried),
            },
            headers=command_headers(committed.version, committed.position),
        )

    async def _with_outdated_items(self, caller: Caller, documents: Sequence[Document]) -> Sequence[bytes]:
        """Return the bodies of steps. An item is marked ``outdated`` if its ``map`` step has started again
        since, which the item's own document does not show."""
        steps = [decoded(document.body) for document in documents]
        wholes = [map_step_named(step["workflowId"], step["stepType"]) for step in steps]
        keys = [(caller.tenant, id) for id in dict.fromkeys(wholes) if id is not None]
        found = await self._service.documents.get_many(self._steps.container, keys) if keys else {}
        mapped = {id: decoded(document.body) for (_, id), document in found.items()}
        return [
            _encode(step | {"outdated": True})
            if whole in mapped and is_outdated(step, mapped[whole])
            else document.body
            for step, whole, document in zip(steps, wholes, documents, strict=True)
        ]

    async def _parts(
        self, request: Request, caller: Caller, name: str, container: Container, shown: Shown | None = None
    ) -> Response:
        workflow_id = request.path_params["workflowId"]
        paging = read_query(request, Paging)
        await self._service.require(
            self._workflows.container,
            caller,
            workflow_id,
            stream=workflow_stream(caller.tenant, workflow_id.lower()),
            missing=missing_workflow(workflow_id),
        )
        return await self._service.page(
            request, container, caller, name, paging, equal={"workflowId": workflow_id.lower()}, shown=shown
        )

    async def _document(self, workflow_id: str, committed: Committed) -> bytes:
        return await document_after(self._service.store, self._workflows, workflow_id, committed)


def _last_retry(events: Sequence[Recorded]) -> WorkflowRetried | None:
    found = (each.event for each in reversed(events) if isinstance(each.event, WorkflowRetried))
    return next(found, None)


def _what_runs_again(retried: WorkflowRetried) -> str:
    """Return a message about what a retry has started."""
    if retried.compensates:
        return "the failed compensation is tried again"
    if not retried.again:
        return "no step runs again; the steps that had not started run now"
    named, more = ", ".join(retried.again[:_NAMED]), len(retried.again) - _NAMED
    steps = f"{named} and {more} more" if more > 0 else named
    return f"running again: {steps}; the results of other steps are kept"


def missing_workflow(workflow_id: str) -> WorkflowNotFound:
    """Return the error if the tenant has no such workflow."""
    return WorkflowNotFound(f"there is no workflow {workflow_id}")
