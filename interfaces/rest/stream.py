"""``/workflows/{workflowId}/stream``: each change of a workflow as a server-sent event.

A change is an event of the workflow's stream in the audit trail's form, and its ID is its version. So a
client that was disconnected continues after ``Last-Event-ID``, on any instance, without gaps or duplicates.
"""

import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from application.event_store import EventStore
from application.policies.child_workflows import ChildWorkflows
from application.watching import Watches
from domain import workflow
from domain.archived import refuse_archived
from domain.errors import WorkflowNotFound
from domain.event import Event, Recorded
from domain.faults import Fault
from domain.values import is_uuid
from domain.workflow import (
    CompensationBegan,
    Workflow,
    WorkflowRetried,
    WorkflowStarted,
    workflow_stream,
)
from interfaces.rest.audit import audit_event
from interfaces.rest.errors import Invalid
from interfaces.rest.event_streams import EventStreams, Writer
from interfaces.rest.identity import Caller
from interfaces.rest.models import NoQuery
from interfaces.rest.requests import read_query
from interfaces.rest.service import Service
from projections.progress import ENDED
from projections.workflows import Ending

ROUTE = "/api/v1/workflows/{workflowId}/stream"

PAGE = 50
"""How many events are read at once, and kept in memory while the client receives them."""

_VERSION = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)

_GoingOn = WorkflowStarted | WorkflowRetried | CompensationBegan


class StreamRoutes:
    """The route of a workflow's changes."""

    def __init__(self, service: Service, watches: Watches, streams: EventStreams) -> None:
        self._service = service
        self._watches = watches
        self._streams = streams

    def routes(self) -> list[Route]:
        """Return the route."""
        return [self._service.route(ROUTE, self.get, "GET", reads=[], made_by=ChildWorkflows.name)]

    async def get(self, request: Request, caller: Caller) -> Response:
        """Send the changes after ``Last-Event-ID``, and new ones as they happen. Return 204 if a client
        reconnects after the last change of a workflow that has ended."""
        read_query(request, NoQuery)
        given = request.headers.get("last-event-id")
        if given is not None and not _VERSION.fullmatch(given):
            raise _no_event()
        after = int(given or 0)
        workflow_id = request.path_params["workflowId"].lower()
        stream = workflow_stream(caller.tenant, workflow_id)
        version = 0
        if is_uuid(workflow_id):
            newest, version = await self._service.store.history(stream, before=None, limit=1)
            refuse_archived(newest)
        if not version:
            raise WorkflowNotFound(f"there is no workflow {workflow_id}")
        if after > version:
            raise _no_event()
        changes = _Changes(self._service.store, stream, after)
        if given is not None and await changes.has_ended():
            return Response(status_code=204)
        return _ChangesResponse(changes, caller.tenant, self._watches, self._streams)


class _Changes:
    """A workflow's changes after a version, read as they are requested."""

    def __init__(self, store: EventStore, stream: str, after: int) -> None:
        self.stream = stream
        self._store = store
        self._after = after
        self._ended: bool | None = None

    async def next(self) -> tuple[Recorded, ...]:
        """Return the next changes, or nothing if there are none yet."""
        events = (await self._store.read_stream(self.stream, after=self._after, limit=PAGE)).events
        for recorded in events:
            self._ended = _ended_by(recorded.event, self._ended)
        if events:
            self._after = events[-1].version
        return events

    async def has_ended(self) -> bool:
        """Return whether the workflow has ended and all changes were returned."""
        if self._ended is None:
            past = await self._store.present(self.stream, workflow.evolve)
            if past.version != self._after:
                return False
            assert isinstance(past.state, Workflow)
            self._ended = past.state.status in ENDED
        return self._ended


class _ChangesResponse(Response):
    """Sends the changes until the workflow has ended, the client has disconnected, or the service stops."""

    def __init__(self, changes: _Changes, tenant: str, watches: Watches, streams: EventStreams) -> None:
        super().__init__()
        self._changes = changes
        self._tenant = tenant
        self._watches = watches
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the changes.

        Raises:
            ApiError: 429 or 503, there are too many streams.
        """
        with self._watches.of(self._changes.stream) as watch:

            async def write(writer: Writer) -> None:
                while True:
                    while events := await writer.patiently(self._changes.next):
                        for recorded in events:
                            await writer.event(audit_event(recorded), id=recorded.version)
                    if await writer.patiently(self._changes.has_ended):
                        await writer.event(msgspec.json.encode({}), name="end")
                        return
                    await writer.wait(watch)

            await self._streams.serve(self._tenant, write, scope, receive, send)


def _ended_by(event: Event, before: bool | None) -> bool | None:
    if isinstance(event, Ending):
        return True
    return False if isinstance(event, _GoingOn) else before


def _no_event() -> Exception:
    return Invalid([Fault("Last-Event-ID", "is not the id of an event of this workflow")])
