"""``/jobs/{job}/backfills``: runs of a job for a range of the past, window by window. For the system
tenant."""

from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.backfill_commands import CancelBackfill, RequestBackfill
from application.backfills import BackfillHandlers
from application.deciders import Committed
from application.jobs import Jobs
from domain.backfill import Form, Plan, backfill_stream
from domain.errors import BackfillNotFound
from domain.faults import Fault
from domain.values import StreamName, is_uuid
from interfaces.fields import EndOfRange
from interfaces.rest.answers import etag, json_response, stored_json
from interfaces.rest.as_of import asked_as_of
from interfaces.rest.backfill_models import BackfillFilters, StartBackfillRequest
from interfaces.rest.errors import Invalid
from interfaces.rest.folded import document_after
from interfaces.rest.idempotency import id_to_make
from interfaces.rest.identity import Caller
from interfaces.rest.jobs import PREFIX
from interfaces.rest.jobs_named import JobsNamed
from interfaces.rest.models import Paging, ReasonRequest
from interfaces.rest.requests import caused_by, order_in, read_body, read_query
from interfaces.rest.service import Endpoint, Service, command_headers
from interfaces.rest.system_tenant import for_the_system_tenant
from projections.backfills import Backfills, window_json


class BackfillRoutes:
    """The routes of backfills."""

    def __init__(
        self, service: Service, backfills: Backfills, jobs: Jobs, handlers: BackfillHandlers
    ) -> None:
        self._service = service
        self._backfills = backfills
        self._named = JobsNamed(service.store, jobs)
        self._handlers = handlers

    def routes(self) -> list[Route]:
        """Return all routes."""
        return [
            self._route("", self.list, "GET"),
            self._route("", self.start, "POST"),
            self._route("/{id}", self.get, "GET"),
            self._route("/{id}/events", self.events, "GET"),
            self._route("/{id}/cancel", self.cancel, "POST", versioned=True),
        ]

    async def list(self, request: Request, caller: Caller) -> Response:
        """Return the job's backfills, newest first."""
        filters = read_query(request, BackfillFilters)
        return await self._service.page(
            request,
            self._backfills.container,
            caller,
            "backfills",
            filters,
            equal={"job": await self._named.known(request), "status": filters.status},
        )

    async def start(self, request: Request, caller: Caller) -> Response:
        """Start a backfill; with ``dryRun``, only return the runs that it would create."""
        body = await read_body(request, StartBackfillRequest)
        starts_at, ends_at, form = _range(body.start, body.end)
        command = RequestBackfill(
            meta=caused_by(request, caller),
            backfill_id=id_to_make(request, caller),
            job=await self._named.known(request),
            starts_at=starts_at,
            ends_at=ends_at,
            form=form,
            by=caller.actor,
            window_days=body.window_days,
            metadata=body.metadata,
            max_active=body.max_active,
        )
        if body.dry_run:
            return json_response(_told(await self._handlers.planned(command)))
        committed = await self._service.dispatch(command)
        backfill_id = StreamName.parse(committed.stream).id
        response = await self._answer(committed, backfill_id, status=201)
        response.headers["Location"] = f"{PREFIX}/{command.job}/backfills/{backfill_id}"
        return response

    async def get(self, request: Request, caller: Caller) -> Response:
        """Return one backfill and its progress, as it is now or was at ``asOf``."""
        body, version = await self._found(request, caller, as_of=asked_as_of(request))
        return stored_json(body, headers={"ETag": etag(version)})

    async def events(self, request: Request, caller: Caller) -> Response:
        """Return the backfill's audit trail."""
        paging = read_query(request, Paging)
        await self._found(request, caller)
        stream = backfill_stream(request.path_params["id"].lower())
        return await self._service.history_of(request, stream, paging)

    async def cancel(self, request: Request, caller: Caller) -> Response:
        """Start no further windows of a backfill."""
        body = await read_body(request, ReasonRequest)
        job, backfill_id = await self._named.known(request), request.path_params["id"].lower()
        if not is_uuid(backfill_id):
            raise _missing(job, backfill_id)
        command = CancelBackfill(
            **order_in(request, caller),
            backfill_id=backfill_id,
            job=job,
            by=caller.actor,
            reason=body.reason,
        )
        return await self._answer(await self._service.execute(command), backfill_id)

    async def _found(
        self, request: Request, caller: Caller, *, as_of: datetime | int | None = None
    ) -> tuple[bytes, int]:
        """Return the backfill in the path, and its version.

        Raises:
            BackfillNotFound: the job has no such backfill.
        """
        job, backfill_id = await self._named.known(request), request.path_params["id"].lower()
        missing = _missing(job, backfill_id)
        body, version = await self._service.body_of(
            self._backfills,
            caller,
            backfill_id,
            stream=backfill_stream(backfill_id),
            missing=missing,
            as_of=as_of,
        )
        if msgspec.json.decode(body)["job"] != job:
            raise missing
        return body, version

    async def _answer(self, committed: Committed, backfill_id: str, *, status: int = 200) -> Response:
        return stored_json(
            await document_after(self._service.store, self._backfills, backfill_id, committed),
            status=status,
            headers=command_headers(committed.version, committed.position),
        )

    def _route(self, path: str, endpoint: Endpoint, method: str, *, versioned: bool = False) -> Route:
        return self._service.route(
            f"{PREFIX}/{{job}}/backfills{path}",
            for_the_system_tenant(endpoint),
            method,
            reads=[self._backfills.container],
            versioned=versioned,
        )


def _range(start: EndOfRange, end: EndOfRange) -> tuple[datetime, datetime, Form]:
    if start.form != end.form:
        raise Invalid([Fault("to", "must be a date if from is a date, and a time if from is a time")])
    return start.moment, end.moment, start.form


def _told(plan: Plan) -> dict[str, Any]:
    windows = plan.windows()
    runs = [window_json(window) | {"metadata": window.metadata} for window in windows]
    return {"dryRun": True, "backfillId": plan.backfill_id, "job": plan.job, "runs": runs, "total": len(runs)}


def _missing(job: str, backfill_id: str) -> BackfillNotFound:
    return BackfillNotFound(f"there is no backfill {backfill_id} of {job}")
