"""``/audit``: the tenant's events, their causes, and the verification and export of its audit chain."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import datetime
from typing import Any

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from application.audit.checking import Checking, NoSuchPlace, Stretch
from application.audit.export import Export
from application.audit.indexing import NAME
from application.audit.ports import Indexed, Wanted
from application.audit.trail import Branch, Found, Trail
from application.event_log import is_position, number_of, position_of
from application.streams import PATIENCE_SECONDS
from domain.errors import Failure, StoreUnavailable
from domain.event import event_id
from domain.faults import Fault
from domain.values import canonical_id
from interfaces.rest.answers import json_response, list_body, stored_json
from interfaces.rest.audit import shown_event
from interfaces.rest.audit_models import CheckQuery, TrailFilters, TrailQuery
from interfaces.rest.cursors import next_cursor, not_of_this_list, place_after
from interfaces.rest.errors import ApiError, Invalid
from interfaces.rest.event_streams import CutOff, EventStreams, Writer
from interfaces.rest.identity import Caller
from interfaces.rest.models import NoQuery, Paging
from interfaces.rest.requests import read_query
from interfaces.rest.service import Service

PREFIX = "/api/v1/audit"

NDJSON = "application/x-ndjson"

ANSWER_SECONDS = PATIENCE_SECONDS
"""The time limit for reading the index and the log, the same as for a command. Longer queries would block the
trail's few connections, which its follower needs."""

MOST_FOUND = 100
"""How many flaws of a section of the chain are listed; the others are only counted."""


class TheIndex:
    """The audit index, which these queries read."""

    name = NAME


READS = (TheIndex(),)


class AuditRoutes:
    """The routes of the audit trail."""

    def __init__(
        self, service: Service, trail: Trail, checking: Checking, exports: Export, streams: EventStreams
    ) -> None:
        self._service = service
        self._trail = trail
        self._checking = checking
        self._exports = exports
        self._streams = streams

    def routes(self) -> list[Route]:
        """Return all routes."""
        route = self._service.route
        return [
            route(f"{PREFIX}/events", self.events, "GET", reads=READS),
            route(f"{PREFIX}/correlations/{{correlationId:path}}", self.correlation, "GET", reads=READS),
            route(f"{PREFIX}/head", self.head, "GET", reads=READS),
            route(f"{PREFIX}/verification", self.verification, "GET", reads=READS),
            route(f"{PREFIX}/export", self.export, "GET", reads=READS),
        ]

    async def events(self, request: Request, caller: Caller) -> Response:
        """Return the tenant's events in the order of the log, or in reverse."""
        query = read_query(request, TrailQuery)
        beyond = _beyond(request, query)
        with _in_time():
            wanted = await wanted_by(query, caller, self._service)
            page = await self._trail.page(
                wanted, beyond=beyond, limit=query.limit, newest_first=query.order == "desc"
            )
        following = None if page.beyond is None else next_cursor(request, query, [str(page.beyond)])
        bodies = (msgspec.json.encode(trail_event(found)) for found in page.events)
        return stored_json(list_body("events", bodies, page.total, following))

    async def correlation(self, request: Request, caller: Caller) -> Response:
        """Return the events with a correlation ID as trees of causes."""
        read_query(request, NoQuery)
        correlation_id = request.path_params["correlationId"]
        with _in_time():
            tree = await self._trail.tree(caller.tenant, correlation_id)
        if not tree.total:
            raise ApiError(404, "CORRELATION_NOT_FOUND", "the tenant has no event with that correlation id")
        return json_response(
            {
                "correlationId": canonical_id(correlation_id),
                "total": tree.total,
                "shown": tree.shown,
                "roots": _branches(tree.roots),
            }
        )

    async def head(self, request: Request, caller: Caller) -> Response:
        """Return the head of the tenant's chain, and its last anchor."""
        read_query(request, NoQuery)
        with _in_time():
            head, position = await self._trail.head(caller.tenant)
            anchor = await self._trail.anchor(caller.tenant)
        return json_response(
            {
                "tenantId": head.tenant,
                "number": head.number,
                "position": position,
                "hash": head.chain.hex(),
                **({} if anchor is None else {"anchor": anchor}),
            }
        )

    async def verification(self, request: Request, caller: Caller) -> Response:
        """Verify a section of the tenant's chain."""
        query = read_query(request, CheckQuery)
        try:
            with _in_time():
                stretch = await self._checking.check(
                    caller.tenant, beyond=_beyond(request, query), limit=query.limit
                )
        except NoSuchPlace:
            raise not_of_this_list() from None
        following = {}
        if stretch.beyond is not None:
            following = {"nextCursor": next_cursor(request, query, [str(stretch.beyond)])}
        return json_response(_told(stretch) | following)

    async def export(self, request: Request, caller: Caller) -> Response:
        """Stream the tenant's events as verifiable NDJSON."""
        with _in_time():
            wanted = await wanted_by(read_query(request, TrailFilters), caller, self._service)
        return _ExportResponse(self._exports, wanted, self._streams)


class _ExportResponse(Response):
    """Sends an export as fast as the client reads. The connection is closed if the export cannot be
    completed."""

    def __init__(self, exports: Export, wanted: Wanted, streams: EventStreams) -> None:
        super().__init__()
        self._exports = exports
        self._wanted = wanted
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the export.

        Raises:
            ApiError: 429 or 503, there are too many streams.
        """

        async def write(writer: Writer) -> None:
            async with aclosing(self._exports.chunks(self._wanted)) as chunks:
                try:
                    async for lines in _each_in_time(chunks):
                        await writer.write(lines)
                except Failure as away:
                    raise CutOff(str(away)) from away

        await self._streams.serve(
            self._wanted.tenant,
            write,
            scope,
            receive,
            send,
            media_type=NDJSON,
            greeting=b"",
            may_end_anywhere=False,
        )


@contextmanager
def _in_time() -> Iterator[None]:
    """Limit the time of a block to ``ANSWER_SECONDS``.

    Raises:
        StoreUnavailable: the block took longer.
    """
    try:
        with anyio.fail_after(ANSWER_SECONDS):
            yield
    except TimeoutError as error:
        raise StoreUnavailable(f"the audit trail did not answer within {ANSWER_SECONDS:g} s") from error


async def _each_in_time(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield an export's chunks, each read within the time limit. The client's time does not count."""
    while True:
        with _in_time():
            lines = await anext(chunks, None)
        if lines is None:
            return
        yield lines


def _beyond(request: Request, paging: Paging) -> int:
    """Return the position after which a page begins.

    Raises:
        ApiError: 400, the cursor is not one of this list.
    """
    place = place_after(request, paging, 1)
    if place is None:
        return 0
    if not (place[0].isascii() and place[0].isdigit() and len(place[0]) < 19):
        raise not_of_this_list()
    return int(place[0])


def _told(stretch: Stretch) -> dict[str, Any]:
    return {
        "holds": not stretch.flaws,
        "first": stretch.first,
        "last": stretch.last,
        "found": [
            {"kind": flaw.kind, "number": flaw.number, **_whose(flaw.row)}
            for flaw in stretch.flaws[:MOST_FOUND]
        ],
        "total": len(stretch.flaws),
    }


def _whose(row: Indexed | None) -> dict[str, Any]:
    if row is None:
        return {}
    return {"aggregate": row.category, "aggregateId": row.aggregate_id, "version": row.version}


async def wanted_by(query: TrailFilters, caller: Caller, service: Service) -> Wanted:
    """Return the filter of a query for the trail.

    Raises:
        ApiError: 400, a position is not one of this log.
    """
    partition = service.store.partition_of(caller.tenant)
    places: dict[str, int | None] = {"after": 0, "before": None}
    moments: dict[str, datetime | None] = {"after": None, "before": None}
    for name, given in (("after", query.after), ("before", query.before)):
        if isinstance(given, datetime):
            moments[name] = given
        elif given is not None:
            if not is_position(given) or not await service.store.knows(partition, given):
                raise Invalid([Fault(name, "is not a position of this log")])
            places[name] = number_of(given)
    return Wanted(
        tenant=caller.tenant,
        topic=query.type,
        aggregate_id=query.aggregate_id,
        actor=query.actor,
        correlation_id=query.correlation_id,
        after=moments["after"],
        before=moments["before"],
        after_position=places["after"] or 0,
        before_position=places["before"],
    )


def trail_event(found: Found) -> dict[str, Any]:
    """Return an event in the trail's form, with its place in the log and in the tenant's chain."""
    indexed = found.indexed
    if found.recorded is None:
        shown = {
            "eventId": event_id(indexed.stream, indexed.version),
            "type": indexed.topic,
            "version": indexed.version,
        }
    else:
        shown = shown_event(found.recorded)
    return {
        **shown,
        "number": indexed.number,
        "position": position_of(indexed.position, indexed.stream, indexed.version),
        "aggregate": indexed.category,
        "aggregateId": indexed.aggregate_id,
        "hash": indexed.chain.hex(),
        "intact": found.is_intact,
    }


def _branches(roots: Sequence[Branch]) -> list[Any]:
    """Return trees as JSON. They are built from the leaves, because a tree may exceed the recursion limit."""
    made: dict[int, dict[str, Any]] = {}
    pending = [(branch, False) for branch in roots]
    while pending:
        branch, children_are_made = pending.pop()
        if not children_are_made:
            pending.append((branch, True))
            pending += [(child, False) for child in branch.children]
            continue
        shown = trail_event(branch.event)
        if branch.children:
            shown["children"] = [made.pop(id(child)) for child in branch.children]
        if branch.is_cut:
            shown["cut"] = True
        made[id(branch)] = shown
    return [made[id(branch)] for branch in roots]
