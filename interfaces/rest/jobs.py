"""``/jobs``: the platform's batch jobs. The tenant is the system tenant."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.commands import TriggerJob
from application.ports import Clock
from domain.job import JOB_NAMES, job_stream
from domain.values import SYSTEM_TENANT, timestamp
from interfaces.rest.answers import json_response, stored_json
from interfaces.rest.errors import ApiError
from interfaces.rest.idempotency import id_to_make
from interfaces.rest.identity import Caller
from interfaces.rest.models import NoQuery, RunFilters, TriggerJobRequest
from interfaces.rest.requests import caused_by, read_body, read_query
from interfaces.rest.service import Endpoint, Service, command_headers
from interfaces.scheduling.cron import UnixCron
from projections.job_runs import JobRuns
from projections.ports import Query
from projections.projection import document_of

PREFIX = "/api/v1/jobs"

SHOWN_FIRINGS = 5


class JobRoutes:
    """The routes of jobs."""

    def __init__(
        self,
        service: Service,
        runs: JobRuns,
        schedules: Mapping[str, UnixCron],
        clock: Clock,
        *,
        enabled: bool,
    ) -> None:
        self._service = service
        self._runs = runs
        self._schedules = schedules
        self._enabled = enabled
        self._clock = clock

    def routes(self) -> list[Route]:
        """Every route, with its method."""
        return [
            self._route("", self.list, "GET"),
            self._route("/{job}", self.get, "GET"),
            self._route("/{job}/runs", self.runs, "GET"),
            self._route("/{job}/trigger", self.trigger, "POST"),
        ]

    async def list(self, request: Request, caller: Caller) -> Response:
        """The seven jobs, in the order of the contract."""
        read_query(request, NoQuery)
        jobs = [await self._describe(job, caller) for job in JOB_NAMES]
        return json_response({"jobs": jobs, "total": len(jobs)})

    async def get(self, request: Request, caller: Caller) -> Response:
        """One job."""
        job = request.path_params["job"]
        job_stream(job)
        return json_response(await self._describe(job, caller))

    async def runs(self, request: Request, caller: Caller) -> Response:
        """What came of each firing, the newest first."""
        filters = read_query(request, RunFilters)
        job = request.path_params["job"]
        job_stream(job)
        return await self._service.page(
            self._runs.container, caller, "runs", filters, equal={"job": job, "status": filters.status}
        )

    async def trigger(self, request: Request, caller: Caller) -> Response:
        """Open a run by hand."""
        body = await read_body(request, TriggerJobRequest, optional=True)
        run_id = id_to_make(request, caller)
        committed = await self._service.dispatch(
            TriggerJob(
                meta=caused_by(request, caller),
                job=request.path_params["job"],
                run_id=run_id,
                metadata=body.metadata or {},
            )
        )
        opened = committed.new
        if not opened:
            opened, _ = await self._service.store.history(
                committed.stream, before=committed.version + 1, limit=1
            )
        return stored_json(
            document_of(self._runs, run_id, opened),
            status=202,
            headers=command_headers(committed.version, committed.position),
        )

    def _route(self, path: str, endpoint: Endpoint, method: str) -> Route:
        async def for_the_system_tenant(request: Request, caller: Caller) -> Response:
            if caller.tenant != SYSTEM_TENANT:
                raise ApiError(403, "SYSTEM_TENANT_ONLY", "the jobs belong to the system tenant")
            return await endpoint(request, caller)

        return self._service.route(PREFIX + path, for_the_system_tenant, method, reads=[self._runs.container])

    async def _describe(self, job: str, caller: Caller) -> dict[str, Any]:
        schedule = self._schedules[job]
        newest = await self._service.documents.query(
            self._runs.container, caller.tenant, Query(equal={"job": job}, limit=1)
        )
        upcoming = schedule.upcoming(self._clock.now(), SHOWN_FIRINGS) if self._enabled else ()
        described: dict[str, Any] = {
            "job": job,
            "cron": schedule.expression,
            "timeZone": schedule.time_zone.key,
            "enabled": self._enabled,
            "nextFireTimes": [timestamp(moment) for moment in upcoming],
        }
        if newest.documents:
            described["lastRun"] = msgspec.Raw(newest.documents[0].body)
        return described
