"""``/workflows/{workflowId}/progress``: how much of a workflow has ended, and the estimated remaining
time."""

from datetime import datetime, timedelta
from statistics import median

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.policies.child_workflows import ChildWorkflows
from application.ports import Clock
from application.single_flight_cache import SingleFlightCache
from domain.errors import WorkflowNotFound
from domain.workflow import execution_id_of, workflow_stream
from interfaces.rest.answers import etag, json_response
from interfaces.rest.identity import Caller
from interfaces.rest.models import NoQuery
from interfaces.rest.requests import read_query
from interfaces.rest.service import Service
from projections.ports import Container, Documents, Json, Query
from projections.progress import map_steps, progress_of
from projections.projection import decoded
from projections.steps import Steps
from projections.workflows import Workflows

ROUTE = "/api/v1/workflows/{workflowId}/progress"


class ProgressRoutes:
    """The route of a workflow's progress."""

    def __init__(self, service: Service, workflows: Workflows, steps: Steps, clock: Clock) -> None:
        self._service = service
        self._workflows = workflows
        self._steps = steps
        self._clock = clock
        self._past_runs = PastRuns(service.documents, workflows.container)

    def routes(self) -> list[Route]:
        """Return the route."""
        reads = [self._workflows.container, self._steps.container]
        return [self._service.route(ROUTE, self.get, "GET", reads=reads, made_by=ChildWorkflows.name)]

    async def get(self, request: Request, caller: Caller) -> Response:
        """Return the workflow's progress."""
        read_query(request, NoQuery)
        workflow_id = request.path_params["workflowId"]
        body, version = await self._service.body_of(
            self._workflows,
            caller,
            workflow_id,
            stream=workflow_stream(caller.tenant, workflow_id.lower()),
            missing=WorkflowNotFound(f"there is no workflow {workflow_id}"),
        )
        workflow = decoded(body)
        keys = [(caller.tenant, step_id) for step_id in map_steps(workflow)]
        found = await self._service.documents.get_many(self._steps.container, keys) if keys else {}
        steps = {step_id: decoded(document.body) for (_, step_id), document in found.items()}
        typical = None
        if workflow["status"] == "running" and was_never_retried(workflow):
            typical = await self._past_runs.typical(
                caller.tenant, workflow["definition"], workflow["definitionVersion"]
            )
        return json_response(
            progress_of(workflow, steps, self._clock.now(), typical), headers={"ETag": etag(version)}
        )


class PastRuns:
    """How long a tenant's workflows of a version of a definition take from their start to their completion.

    It is the median of the runs of that version among the last ``LOOKED_AT`` completed runs of the
    definition. Retried runs do not count, because their duration depends on when they were retried. With
    fewer than ``FEWEST`` runs there is no estimate. An estimate is kept for ``KEPT_SECONDS``.
    """

    LOOKED_AT = 20
    FEWEST = 3
    KEPT_SECONDS = 60.0
    MOST_KEPT = 1000

    def __init__(self, documents: Documents, workflows: Container) -> None:
        self._documents = documents
        self._workflows = workflows
        self._known = SingleFlightCache(self._look, seconds=self.KEPT_SECONDS, most=self.MOST_KEPT)

    async def typical(self, tenant: str, definition: str, version: int) -> timedelta | None:
        """Return the typical duration, or None if too few runs are known."""
        return await self._known.get((tenant, definition, version))

    async def _look(self, asked: tuple[str, str, int]) -> timedelta | None:
        tenant, definition, version = asked
        completed = Query(equal={"definition": definition, "status": "completed"}, limit=self.LOOKED_AT)
        page = await self._documents.query(self._workflows, tenant, completed)
        workflows = [decoded(document.body) for document in page.documents]
        took = [
            (_moment(each["completedAt"]) - _moment(each["startedAt"])).total_seconds()
            for each in workflows
            if each["definitionVersion"] == version and was_never_retried(each)
        ]
        return timedelta(seconds=median(took)) if len(took) >= self.FEWEST else None


def was_never_retried(workflow: Json) -> bool:
    """Return whether a workflow is in its first execution."""
    return bool(workflow["executionId"] == execution_id_of(workflow["workflowId"], 1))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
