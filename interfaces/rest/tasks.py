"""``/tasks``: work that external workers do under leases."""

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.deciders import Committed
from application.event_log import number_of
from application.policies.tasks import TaskSteps
from application.task_claims import Claimed, TaskClaims, Wanted
from application.task_commands import CompleteTask, ExtendTaskLease, FailTask, ReleaseTask, TaskCommand
from application.task_news import Ear
from domain.errors import TaskNotFound
from domain.task import digest_of, task_stream
from domain.values import is_uuid
from interfaces.rest.answers import json_response, stored_json
from interfaces.rest.decoding import decoded_body
from interfaces.rest.folded import document_after
from interfaces.rest.identity import Caller
from interfaces.rest.models import (
    ClaimTasksRequest,
    CompleteTaskRequest,
    FailTaskRequest,
    HeartbeatTaskRequest,
    NoQuery,
    Paging,
    ReleaseTaskRequest,
    TaskFilters,
)
from interfaces.rest.requests import caused_by, names_no_correlation, order_in, read_body, read_query
from interfaces.rest.service import Service, command_headers
from projections.tasks import Tasks

PREFIX = "/api/v1/tasks"


class TaskRoutes:
    """The routes of tasks."""

    def __init__(self, service: Service, tasks: Tasks, claims: TaskClaims) -> None:
        self._service = service
        self._tasks = tasks
        self._claims = claims

    def routes(self) -> list[Route]:
        """Return all routes."""
        route = self._service.route
        return [
            route(PREFIX, self.list, "GET"),
            route(f"{PREFIX}/claim", self.claim, "POST"),
            route(f"{PREFIX}/{{taskId}}", self.get, "GET", made_by=TaskSteps.name),
            route(f"{PREFIX}/{{taskId}}/events", self.events, "GET", reads=[], made_by=TaskSteps.name),
            route(f"{PREFIX}/{{taskId}}/heartbeat", self.heartbeat, "POST", versioned=True),
            route(f"{PREFIX}/{{taskId}}/complete", self.complete, "POST", versioned=True),
            route(f"{PREFIX}/{{taskId}}/fail", self.fail, "POST", versioned=True),
            route(f"{PREFIX}/{{taskId}}/release", self.release, "POST", versioned=True),
        ]

    async def list(self, request: Request, caller: Caller) -> Response:
        """Return the tenant's tasks, newest first."""
        filters = read_query(request, TaskFilters)
        return await self._service.page(
            request,
            self._tasks.container,
            caller,
            "tasks",
            filters,
            equal={"queue": filters.queue, "status": filters.status},
        )

    async def get(self, request: Request, caller: Caller) -> Response:
        """Return one task."""
        read_query(request, NoQuery)
        task_id = request.path_params["taskId"]
        return await self._service.document(
            self._tasks,
            caller,
            task_id,
            stream=task_stream(caller.tenant, task_id.lower()),
            missing=_missing(task_id),
        )

    async def events(self, request: Request, caller: Caller) -> Response:
        """Return the task's audit trail."""
        paging, task_id = read_query(request, Paging), request.path_params["taskId"]
        stream = task_stream(caller.tenant, task_id.lower())
        return await self._service.history(request, task_id, stream, paging, _missing(task_id))

    async def claim(self, request: Request, caller: Caller) -> Response:
        """Give tasks to a worker, up to ``max``. With ``waitSeconds``, wait for the first one."""
        body = await read_body(request, ClaimTasksRequest)
        wanted = Wanted(
            meta=caused_by(request, caller),
            names_no_correlation=names_no_correlation(request),
            queue=body.queue,
            worker_id=body.worker_id,
            most=body.max,
            lease_seconds=body.lease_seconds,
        )
        if body.wait_seconds:
            claimed = await self._claim_or_wait(request, wanted, body.wait_seconds)
        else:
            claimed = await self._claims.claim(wanted)
        positions = [each.committed.position for each in claimed]
        position = max(positions, key=number_of, default=None)
        position = position or await self._service.head(caller)
        return json_response(
            {"tasks": [await self._handed_out(each) for each in claimed]},
            headers={"X-Position": position} if position else None,
        )

    async def heartbeat(self, request: Request, caller: Caller) -> Response:
        """Extend a task's lease."""
        body = await read_body(request, HeartbeatTaskRequest)
        return await self._answer(
            ExtendTaskLease(
                **order_in(request, caller),
                task_id=_task_id(request),
                lease_digest=digest_of(body.lease_token),
                lease_seconds=body.lease_seconds,
            )
        )

    async def complete(self, request: Request, caller: Caller) -> Response:
        """Take a worker's result."""
        body = await read_body(request, CompleteTaskRequest)
        return await self._answer(
            CompleteTask(
                **order_in(request, caller),
                task_id=_task_id(request),
                lease_digest=digest_of(body.lease_token),
                output=body.output,
            )
        )

    async def fail(self, request: Request, caller: Caller) -> Response:
        """Take a worker's report that it could not do a task."""
        body = await read_body(request, FailTaskRequest)
        return await self._answer(
            FailTask(
                **order_in(request, caller),
                task_id=_task_id(request),
                lease_digest=digest_of(body.lease_token),
                error=body.error,
                retryable=body.retryable,
            )
        )

    async def release(self, request: Request, caller: Caller) -> Response:
        """Return a task to its queue."""
        body = await read_body(request, ReleaseTaskRequest)
        return await self._answer(
            ReleaseTask(
                **order_in(request, caller),
                task_id=_task_id(request),
                lease_digest=digest_of(body.lease_token),
            )
        )

    async def _claim_or_wait(self, request: Request, wanted: Wanted, seconds: float) -> Sequence[Claimed]:
        """Claim tasks, or wait for them. A client that disconnects gets no task, because the task would be
        blocked until the end of its lease."""
        decoded_body(request).leave()
        with self._claims.ear(wanted) as ear:
            watching = asyncio.create_task(_leave_when_gone(request, ear))
            try:
                return await self._claims.claim_or_wait(
                    wanted, ear, seconds, partial(self._service.not_counted, wanted.meta.tenant)
                )
            finally:
                watching.cancel()

    async def _answer(self, command: TaskCommand) -> Response:
        committed = await self._service.execute(command)
        return stored_json(
            await self._document(command.task_id, committed),
            headers=command_headers(committed.version, committed.position),
        )

    async def _handed_out(self, claimed: Claimed) -> dict[str, object]:
        document = msgspec.json.decode(await self._document(claimed.task_id, claimed.committed), type=dict)
        return {**document, "leaseToken": claimed.lease_token}

    async def _document(self, task_id: str, committed: Committed) -> bytes:
        return await document_after(self._service.store, self._tasks, task_id, committed)


async def _leave_when_gone(request: Request, ear: Ear) -> None:
    """End the waiting when the client disconnects. The body has been read, so nothing else can arrive."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    ear.leave()


def _task_id(request: Request) -> str:
    task_id: str = request.path_params["taskId"]
    if not is_uuid(task_id):
        raise _missing(task_id)
    return task_id.lower()


def _missing(task_id: str) -> TaskNotFound:
    return TaskNotFound(f"there is no task {task_id}")
