"""``/jobs``: the platform's batch jobs. The tenant is the system tenant."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.job_commands import JobCommand, PauseJob, ResumeJob, TriggerJob
from application.jobs import Jobs
from application.pasts import Past
from application.policies.backfills import Backfills
from application.ports import Clock
from domain import job
from domain.faults import Fault
from domain.job import JobDefinition, job_stream
from domain.values import is_uuid, timestamp
from interfaces.rest.answers import etag, json_response, stored_json
from interfaces.rest.as_of import AsOf, asked_as_of, parts_until
from interfaces.rest.cursors import next_cursor, place_after
from interfaces.rest.errors import ApiError, Invalid
from interfaces.rest.idempotency import id_to_make
from interfaces.rest.identity import Caller
from interfaces.rest.job_description import JobAsOf, described
from interfaces.rest.jobs_named import JobsNamed
from interfaces.rest.models import (
    NothingToSayRequest,
    Paging,
    PreviewQuery,
    ReasonRequest,
    RunFilters,
    TriggerJobRequest,
)
from interfaces.rest.requests import caused_by, expected_version, read_body, read_query
from interfaces.rest.service import Endpoint, Service, command_headers
from interfaces.rest.system_tenant import for_the_system_tenant
from interfaces.scheduling.cron import UnixCron
from interfaces.scheduling.marks import Marks
from interfaces.scheduling.preview import PlannedFiring, previewed
from projections.job_runs import JobRuns
from projections.ports import Query
from projections.projection import DocumentFold, ProjectionGap, document_of

PREFIX = "/api/v1/jobs"

MOST_SHOWN = 1000
"""How many firings of the catch-up are shown: for a job that fires each minute they soon are very many."""

_LOOKED_AT = 100
"""How many of a job's newest events are searched for a run that has no document yet."""


class JobRoutes:
    """The routes of jobs."""

    def __init__(
        self,
        service: Service,
        runs: JobRuns,
        jobs: Jobs,
        schedules: Mapping[str, UnixCron],
        marks: Marks,
        clock: Clock,
    ) -> None:
        self._service = service
        self._runs = runs
        self._jobs = jobs
        self._named = JobsNamed(service.store, jobs)
        self._schedules = schedules
        self._marks = marks
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return all routes."""
        return [
            self._route("", self.list, "GET"),
            self._route("/{job}", self.get, "GET"),
            self._route("/{job}/runs", self.runs, "GET"),
            self._route("/{job}/runs/{runId}", self.run, "GET", made_by=Backfills.name),
            self._route("/{job}/preview", self.preview, "GET"),
            self._route("/{job}/events", self.events, "GET"),
            self._route("/{job}/trigger", self.trigger, "POST", versioned=True),
            self._route("/{job}/pause", self.pause, "POST", versioned=True),
            self._route("/{job}/resume", self.resume, "POST", versioned=True),
        ]

    async def list(self, request: Request, caller: Caller) -> Response:
        """Return the jobs, in the order of the settings."""
        paging = read_query(request, Paging)
        names = list(self._jobs.by_name)
        begin = _begin(request, paging, names)
        shown = names[begin : begin + paging.limit]
        page: dict[str, Any] = {
            "jobs": [(await self._describe(self._jobs.by_name[name], caller))[0] for name in shown],
            "total": len(names),
        }
        if begin + len(shown) < len(names):
            page["nextCursor"] = next_cursor(request, paging, [shown[-1]])
        return json_response(page)

    async def get(self, request: Request, caller: Caller) -> Response:
        """Return one job, as it is now or was at ``asOf``."""
        definition, as_of = self._named.configured(request), asked_as_of(request)
        if as_of is not None:
            told, version = await self._describe_as_of(definition, as_of)
        else:
            told, version = await self._describe(definition, caller)
        return json_response(told, headers={"ETag": etag(version)})

    async def runs(self, request: Request, caller: Caller) -> Response:
        """Return the job's runs, newest first."""
        filters = read_query(request, RunFilters)
        return await self._service.page(
            request,
            self._runs.container,
            caller,
            "runs",
            filters,
            equal={
                "job": await self._named.known(request),
                "status": filters.status,
                "backfillId": filters.backfill_id,
            },
        )

    async def run(self, request: Request, caller: Caller) -> Response:
        """Return one run, as it is now or was at ``asOf``."""
        name, run_id = await self._named.known(request), request.path_params["runId"]
        missing = ApiError(404, "JOB_RUN_NOT_FOUND", f"there is no run {run_id} of {name}")
        if not is_uuid(run_id):
            raise missing
        as_of = asked_as_of(request)
        if as_of is not None:
            try:
                return stored_json(await self._run_as_of(name, run_id.lower(), as_of))
            except ProjectionGap:
                raise missing from None
        found = await self._service.documents.get(self._runs.container, caller.tenant, run_id.lower())
        try:
            body = await self._just_opened(name, run_id.lower()) if found is None else found.body
        except ProjectionGap:
            raise missing from None
        if msgspec.json.decode(body)["job"] != name:
            raise missing
        return stored_json(body)

    async def preview(self, request: Request, caller: Caller) -> Response:
        """Return the job's next firings, and what catch-up would do."""
        query = read_query(request, PreviewQuery)
        definition, now = self._named.configured(request), self._clock.now()
        look = partial(
            previewed,
            definition,
            self._schedules[definition.name],
            (await self._state(definition.name)).state,
            start=query.start or now,
            watched_until=await self._marks.peek(definition.name),
            now=now,
            count=query.count,
        )
        told = await anyio.to_thread.run_sync(look)
        return json_response(
            {
                "job": definition.name,
                "firings": [_shown(each) for each in told.firings],
                "catchUp": [_shown(each) for each in told.catch_up[-MOST_SHOWN:]],
                "catchUpTotal": len(told.catch_up),
            }
        )

    async def events(self, request: Request, caller: Caller) -> Response:
        """Return the audit trail of the job and its runs."""
        paging = read_query(request, Paging)
        return await self._service.history_of(request, job_stream(await self._named.known(request)), paging)

    async def trigger(self, request: Request, caller: Caller) -> Response:
        """Open a run manually. A repeated request returns the run that the first one opened."""
        body = await read_body(request, TriggerJobRequest, optional=True)
        name = await self._named.known(request)
        committed = await self._service.dispatch(
            TriggerJob(
                meta=caused_by(request, caller),
                job=name,
                run_id=id_to_make(request, caller),
                metadata=body.metadata or {},
                expected_version=expected_version(request),
            )
        )
        opened = committed.new
        if not opened:
            opened, _ = await self._service.store.history(
                committed.stream, before=committed.version + 1, limit=1
            )
        (run_id,) = self._runs.reads(opened[0].event)
        return stored_json(
            document_of(self._runs, run_id, opened),
            status=202,
            headers={
                **command_headers(committed.version, committed.position),
                "Location": f"{PREFIX}/{name}/runs/{run_id}",
            },
        )

    async def pause(self, request: Request, caller: Caller) -> Response:
        """Stop cron from firing the job."""
        body = await read_body(request, ReasonRequest)
        return await self._ordered(
            PauseJob(**self._order(request, caller), by=caller.actor, reason=body.reason), caller
        )

    async def resume(self, request: Request, caller: Caller) -> Response:
        """Let cron fire the job again."""
        await read_body(request, NothingToSayRequest, optional=True)
        return await self._ordered(ResumeJob(**self._order(request, caller), by=caller.actor), caller)

    async def _run_as_of(self, name: str, run_id: str, as_of: AsOf) -> bytes:
        """Return a run as it was then, from the events of all runs.

        Raises:
            ProjectionGap: the run did not exist then.
        """
        fold = DocumentFold(self._runs, run_id)
        async for events in parts_until(self._service.store, job_stream(name), as_of):
            fold.take(each for each in events if run_id in self._runs.reads(each.event))
        return fold.body()

    async def _just_opened(self, name: str, run_id: str) -> bytes:
        """Return a run that the projection has not written yet, from the job's newest events.

        Raises:
            ProjectionGap: there is no such run among them.
        """
        newest, _ = await self._service.store.history(job_stream(name), before=None, limit=_LOOKED_AT)
        of_it = [each for each in reversed(newest) if run_id in self._runs.reads(each.event)]
        return document_of(self._runs, run_id, of_it)

    def _order(self, request: Request, caller: Caller) -> dict[str, Any]:
        return {
            "meta": caused_by(request, caller),
            "job": self._named.configured(request).name,
            "expected_version": expected_version(request),
        }

    async def _ordered(self, command: JobCommand, caller: Caller) -> Response:
        committed = await self._service.dispatch(command)
        job = self._jobs.find(command.job)
        if committed.version == committed.past.version:
            told, _ = await self._describe(job, caller)
        else:
            told, _ = await self._describe_as_of(job, committed.version)
        return json_response(told, headers=command_headers(committed.version, committed.position))

    def _route(
        self,
        path: str,
        endpoint: Endpoint,
        method: str,
        *,
        made_by: str | None = None,
        versioned: bool = False,
    ) -> Route:
        return self._service.route(
            PREFIX + path,
            for_the_system_tenant(endpoint),
            method,
            reads=[self._runs.container],
            made_by=made_by,
            versioned=versioned,
        )

    async def _state(self, name: str) -> Past:
        return await self._service.store.present(job_stream(name), job.evolve)

    async def _describe(self, definition: JobDefinition, caller: Caller) -> tuple[dict[str, Any], int]:
        """Return the job as it is now, and its version, which is 0 if it has no events."""
        name = definition.name
        past = await self._state(name)
        newest = await self._service.documents.query(
            self._runs.container, caller.tenant, Query(equal={"job": name}, limit=1, counted=False)
        )
        last_run = newest.documents[0].body if newest.documents else None
        told = described(definition, self._schedules[name], past.state, last_run, self._clock.now())
        return told, past.version

    async def _describe_as_of(self, definition: JobDefinition, as_of: AsOf) -> tuple[dict[str, Any], int]:
        name = definition.name
        then = JobAsOf(self._runs)
        async for events in parts_until(self._service.store, job_stream(name), as_of):
            await anyio.to_thread.run_sync(then.take, events)
        moment = as_of if isinstance(as_of, datetime) else then.at or self._clock.now()
        tell = partial(described, definition, self._schedules[name], then.state, then.last_run(), moment)
        return await anyio.to_thread.run_sync(tell), then.version


def _shown(planned: PlannedFiring) -> dict[str, str]:
    reason = {} if planned.reason is None else {"reason": planned.reason}
    return {
        "nominalTime": timestamp(planned.nominal_at),
        "dueAt": timestamp(planned.due_at),
        "action": planned.action,
        **reason,
    }


def _begin(request: Request, paging: Paging, names: Sequence[str]) -> int:
    """Return the index at which a page begins: after the job that the cursor names.

    Raises:
        ApiError: 400, that job does not exist.
    """
    place = place_after(request, paging, 1)
    if place is None:
        return 0
    if place[0] not in names:
        raise Invalid([Fault("cursor", "names a job that no longer exists")])
    return names.index(place[0]) + 1
