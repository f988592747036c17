"""What all routes share: admission of requests, dispatch of commands, and queries of documents."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from application.command import Command
from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.event_store import EventStore
from application.log_batches import PAGE_BYTES
from domain.archived import refuse_archived
from domain.errors import Failure, NotFound
from domain.values import is_uuid
from interfaces.rest.answers import etag, list_body, stored_json
from interfaces.rest.arriving import ArrivingBody
from interfaces.rest.as_of import AsOf, document_as_of
from interfaces.rest.audit import audit_event
from interfaces.rest.cursors import next_cursor, not_of_this_list, place_after
from interfaces.rest.decoding import DecodedBody, Decoding
from interfaces.rest.errors import ApiError, overloaded
from interfaces.rest.folded import folded
from interfaces.rest.freshness import HEADER, Freshness
from interfaces.rest.identity import Authenticator, Caller
from interfaces.rest.models import Paging
from interfaces.rest.origin import may_be_forged
from interfaces.rest.places import WAITING_TO_A_PLACE, WaitingPlaces
from interfaces.rest.requests import refuse_version
from projections.ports import Container, Document, Documents, Query
from projections.projection import Projection, ProjectionGap

Endpoint = Callable[[Request, Caller], Awaitable[Response]]

Shown = Callable[[Sequence[Document]], Awaitable[Sequence[bytes]]]
"""Returns the bodies to show for the documents of a page, in their order."""

_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)

log = structlog.get_logger(__name__)


class Named(Protocol):
    """Something that a query reads, under the name of its follower."""

    @property
    def name(self) -> str:
        """The name."""
        ...


class Service:
    """Passed to every group of routes. It answers ``max_requests`` at once."""

    def __init__(
        self,
        *,
        dispatch: Dispatcher,
        store: EventStore,
        documents: Documents,
        authenticate: Authenticator,
        freshness: Freshness,
        max_requests: int,
    ) -> None:
        self.dispatch = dispatch
        self.store = store
        self.documents = documents
        self._admission = _Admission(authenticate, max_requests)
        self._freshness = freshness

    def route(
        self,
        path: str,
        endpoint: Endpoint,
        method: str,
        *,
        reads: Sequence["Named"] | None = None,
        made_by: str | None = None,
        versioned: bool = False,
    ) -> Route:
        """Return a route that authenticates the caller before its endpoint runs, and refuses requests beyond
        the limit.

        A query waits for ``X-Min-Position``. ``reads`` are the containers that it reads, or the audit index:
        None means any container, and an empty list the log itself, which needs no waiting. If the resource
        does not exist, the query also waits for ``made_by``, the policy that may create it. A ``versioned``
        command heeds ``If-Match``; any other command refuses it.
        """
        fresh = made = None
        if method == "GET":
            names = None if reads is None else [each.name for each in reads]
            fresh = partial(self._freshness.require, projections=names)
            if made_by is not None:
                made = partial(self._freshness.look_until_made, policy=made_by)
        heeds_if_match = versioned or method == "GET"
        return Route(
            path, _Answering(self._admission, endpoint, fresh, made, heeds_if_match), methods=[method]
        )

    async def execute(self, command: Command) -> Committed:
        """Dispatch a command about an existing resource, and return the result. If the request has no
        correlation ID, its log line gets that of the resource.

        Raises:
            Refusal, Failure: as the command's handler raises them.
        """
        committed = await self.dispatch(command)
        if command.names_no_correlation:
            bind_contextvars(correlation_id=committed.past.correlation_id)
        return committed

    @contextmanager
    def not_counted(self, tenant: str) -> Iterator[None]:
        """Do not count a request among those that are answered while it waits for something to happen.

        Raises:
            ApiError: 503, too many requests wait already, in all or of this tenant.
        """
        with self._admission.not_counted(tenant):
            yield

    async def head(self, caller: Caller) -> str | None:
        """Return the position of the caller's log after several commands, or None if the store is unavailable
        by then: the outcomes are returned all the same."""
        try:
            return await self.store.head(self.store.partition_of(caller.tenant))
        except Failure as failure:
            log.warning("head_unknown", error=str(failure))
            return None

    async def document(
        self,
        projection: Projection,
        caller: Caller,
        id: str,
        *,
        stream: str,
        missing: NotFound,
        as_of: AsOf | None = None,
    ) -> Response:
        """Return one document of the caller's tenant with its version as ``ETag``, as it is now or was at
        ``as_of``.

        Raises:
            NotFound: ``missing``, if this tenant has no such document, or had none then.
        """
        body, version = await self.body_of(
            projection, caller, id, stream=stream, missing=missing, as_of=as_of
        )
        return stored_json(body, headers={"ETag": etag(version)})

    async def body_of(
        self,
        projection: Projection,
        caller: Caller,
        id: str,
        *,
        stream: str,
        missing: NotFound,
        as_of: AsOf | None = None,
    ) -> tuple[bytes, int]:
        """Return one document of the caller's tenant, and its version.

        A document that the projection has not written yet is folded from its stream, so that a new resource
        can be read at once.

        Raises:
            NotFound: ``missing``, if this tenant has no such document, or had none then.
        """
        if not is_uuid(id):
            raise missing
        if as_of is not None:
            return await document_as_of(
                self.store, projection, id.lower(), as_of, stream=stream, missing=missing
            )
        found = await self.documents.get(projection.container, caller.tenant, id.lower())
        if found is not None:
            return found.body, found.version
        try:
            made = await folded(projection, id.lower(), self.store.parts_of(stream))
        except ProjectionGap:
            raise missing from None
        return made.body, made.version

    async def require(
        self, container: Container, caller: Caller, id: str, *, stream: str, missing: NotFound
    ) -> None:
        """Check that the caller's tenant has a document, or a stream that leads to one.

        Raises:
            NotFound: ``missing``, if it has not.
        """
        if not is_uuid(id):
            raise missing
        known = await self.documents.get(container, caller.tenant, id.lower())
        if known is None:
            begun = await self.store.read_stream(stream, after=0, limit=1)
            refuse_archived(begun.events)
            if not begun.events:
                raise missing

    async def page(
        self,
        request: Request,
        container: Container,
        caller: Caller,
        name: str,
        paging: Paging,
        *,
        equal: Mapping[str, str | None],
        any_of: Mapping[str, Sequence[str]] | None = None,
        none_of: Mapping[str, str] | None = None,
        below: Mapping[str, str] | None = None,
        sort_from: str | None = None,
        sort_before: str | None = None,
        shown: Shown | None = None,
    ) -> Response:
        """Return a page of the caller's tenant's documents, newest first, as stored or as ``shown`` returns
        them."""
        after = place_after(request, paging, 2)
        page = await self.documents.query(
            container,
            caller.tenant,
            Query(
                equal={field: value for field, value in equal.items() if value is not None},
                any_of=any_of or {},
                none_of=none_of or {},
                below=below or {},
                sort_from=sort_from,
                sort_before=sort_before,
                after=(after[0], after[1]) if after else None,
                limit=paging.limit,
                room=PAGE_BYTES,
            ),
        )
        following = next_cursor(request, paging, page.next_after) if page.next_after else None
        bodies = (
            [document.body for document in page.documents] if shown is None else await shown(page.documents)
        )
        return stored_json(list_body(name, bodies, page.total, following))

    async def history(
        self, request: Request, id: str, stream: str, paging: Paging, missing: NotFound
    ) -> Response:
        """Return a page of the audit trail of a resource that has a UUID, newest event first.

        Raises:
            NotFound: ``missing``, if there is no such stream.
        """
        if not is_uuid(id):
            before_version(request, paging)
            raise missing
        return await self.history_of(request, stream, paging, missing)

    async def history_of(
        self, request: Request, stream: str, paging: Paging, missing: NotFound | None = None
    ) -> Response:
        """Return a page of a stream's audit trail, newest event first.

        Raises:
            NotFound: ``missing``, if there is no such stream. If it is None, the page is empty then.
        """
        before = before_version(request, paging)
        events, total = await self.store.history(stream, before=before, limit=paging.limit)
        if not total and missing is not None:
            raise missing
        more = bool(events) and events[-1].version > 1
        following = next_cursor(request, paging, [str(events[-1].version)]) if more else None
        return stored_json(list_body("events", map(audit_event, events), total, following))


class _Admission:
    """Admits requests: authenticates their callers, and limits how many are answered at once to
    ``places``."""

    def __init__(self, authenticate: Authenticator, places: int) -> None:
        self.authenticate = authenticate
        self.places = places
        self.decoding = Decoding()
        self.arriving = WaitingPlaces(places)
        self._waiting = WaitingPlaces(WAITING_TO_A_PLACE * places)

    @contextmanager
    def not_counted(self, tenant: str) -> Iterator[None]:
        """Give the request's place back meanwhile. Afterwards it continues at once, even if that exceeds the
        limit."""
        with self._waiting.taken(tenant):
            self.places += 1
            try:
                yield
            finally:
                self.places -= 1


class _Answering:
    """An endpoint as an ASGI application. Starlette would wrap a function in another set of error
    handlers."""

    def __init__(
        self,
        admission: _Admission,
        endpoint: Endpoint,
        fresh: Callable[[Request, str], Awaitable[None]] | None,
        made: Callable[..., Awaitable[Response | None]] | None,
        heeds_if_match: bool,
    ) -> None:
        self._admission = admission
        self._endpoint = endpoint
        self._fresh = fresh
        self._made = made
        self._heeds_if_match = heeds_if_match

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        caller = self._admission.authenticate(Headers(scope=scope))
        request = Request(scope, ArrivingBody(receive, self._admission.arriving, caller.tenant), send)
        request.state.tenant = caller.tenant
        if may_be_forged(request):
            raise ApiError(403, "CROSS_SITE", "a page of another site may not send this command")
        if not self._heeds_if_match:
            refuse_version(request)
        if self._fresh is not None:
            await self._fresh(request, caller.tenant)
        try:
            response = await self._answer(request, caller)
        except (NotFound, ApiError) as missing:
            if self._made is None or HEADER not in request.headers or not _is_missing(missing):
                raise
            found = await self._made(request, caller.tenant, look=partial(self._found, request, caller))
            if found is None:
                raise
            response = found
        await response(scope, receive, send)

    async def _found(self, request: Request, caller: Caller) -> Response | None:
        """Return the response, or None if it is 404."""
        try:
            return await self._answer(request, caller)
        except (NotFound, ApiError) as missing:
            if _is_missing(missing):
                return None
            raise

    async def _answer(self, request: Request, caller: Caller) -> Response:
        if self._admission.places <= 0:
            raise overloaded()
        self._admission.places -= 1
        before = bind_contextvars(tenant_id=caller.tenant)
        body = request.state.decoded = DecodedBody(self._admission.decoding)
        try:
            return await self._endpoint(request, caller)
        except Exception as error:
            body.forget(error)
            raise
        finally:
            body.leave()
            request.state.body = None
            reset_contextvars(**before)
            self._admission.places += 1


def _is_missing(error: NotFound | ApiError) -> bool:
    return isinstance(error, NotFound) or error.status == 404


def before_version(request: Request, paging: Paging) -> int | None:
    """Return the version below which a page of a stream's events begins, or None for the first page.

    Raises:
        ApiError: 400, the cursor is not one of this list.
    """
    place = place_after(request, paging, 1)
    if place and not _VERSION.fullmatch(place[0]):
        raise not_of_this_list()
    return int(place[0]) if place else None


def command_headers(version: int, position: str) -> dict[str, Any]:
    """Return the headers of a command's response: the aggregate's version and the position of the log."""
    return {"ETag": etag(version), "X-Position": position}
