"""``/hitl/delegations``: who decides on behalf of whom, and when."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.delegation_commands import Delegate, EndDelegation
from application.ports import Clock
from domain.delegation import delegations_stream
from domain.errors import DelegationNotFound, NotAllowed
from domain.values import is_uuid
from interfaces.rest.answers import list_body, stored_json
from interfaces.rest.approval_models import DelegateRequest, DelegationFilters
from interfaces.rest.audit import audit_event
from interfaces.rest.cursors import next_cursor
from interfaces.rest.folded import document_after
from interfaces.rest.idempotency import id_to_make
from interfaces.rest.identity import Caller, Operators, person_of
from interfaces.rest.models import NoQuery, Paging
from interfaces.rest.requests import caused_by, expected_version, read_body, read_head, read_query
from interfaces.rest.service import Service, before_version, command_headers
from projections.delegations import Delegations

PREFIX = "/api/v1/hitl/delegations"


class DelegationRoutes:
    """The routes of delegations."""

    def __init__(
        self, service: Service, delegations: Delegations, operators: Operators, clock: Clock
    ) -> None:
        self._service = service
        self._delegations = delegations
        self._operators = operators
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return all routes."""
        route, reads = self._service.route, [self._delegations.container]
        return [
            route(PREFIX, self.list, "GET", reads=reads),
            route(PREFIX, self.create, "POST"),
            route(f"{PREFIX}/{{id}}", self.get, "GET", reads=reads),
            route(f"{PREFIX}/{{id}}", self.end, "DELETE", versioned=True),
            route(f"{PREFIX}/{{id}}/events", self.events, "GET", reads=[]),
        ]

    async def list(self, request: Request, caller: Caller) -> Response:
        """Return the tenant's delegations, newest first."""
        filters = read_query(request, DelegationFilters)
        return await self._service.page(
            request,
            self._delegations.container,
            caller,
            "delegations",
            filters,
            equal={"by": filters.by, "to": filters.to},
        )

    async def create(self, request: Request, caller: Caller) -> Response:
        """Let somebody decide on the caller's behalf, or on that of another person if the caller is an
        operator.

        Raises:
            NotAllowed: it is for another person, and the caller is not an operator.
        """
        body = await read_body(request, DelegateRequest)
        by = person_of(caller) if body.by is None else body.by
        if by != caller.person and not self._operators.has(caller):
            raise NotAllowed("only an operator may delegate for another person")
        delegation_id = id_to_make(request, caller)
        command = Delegate(
            meta=caused_by(request, caller),
            delegation_id=delegation_id,
            by=by,
            to=body.to,
            starts_at=body.starts_at or self._clock.now(),
            ends_at=body.ends_at,
            reason=body.reason,
        )
        response = await self._answer(command, delegation_id, status=201)
        response.headers["Location"] = f"{PREFIX}/{delegation_id}"
        return response

    async def get(self, request: Request, caller: Caller) -> Response:
        """Return one delegation."""
        read_query(request, NoQuery)
        delegation_id = request.path_params["id"]
        return await self._service.document(
            self._delegations,
            caller,
            delegation_id,
            stream=delegations_stream(caller.tenant),
            missing=_missing(delegation_id),
        )

    async def events(self, request: Request, caller: Caller) -> Response:
        """Return a delegation's audit trail (at most two events) from the stream of all delegations."""
        paging, delegation_id = read_query(request, Paging), request.path_params["id"].lower()
        recorded = await self._service.store.load(delegations_stream(caller.tenant))
        of_it = [each for each in recorded if getattr(each.event, "delegation_id", None) == delegation_id]
        if not of_it:
            raise _missing(delegation_id)
        before = before_version(request, paging)
        left = [each for each in reversed(of_it) if before is None or each.version < before]
        shown = left[: paging.limit]
        place = [str(shown[-1].version)] if len(left) > len(shown) else None
        following = None if place is None else next_cursor(request, paging, place)
        return stored_json(list_body("events", map(audit_event, shown), len(of_it), following))

    async def end(self, request: Request, caller: Caller) -> Response:
        """End a delegation early."""
        read_head(request, NoQuery)
        delegation_id = request.path_params["id"].lower()
        if not is_uuid(delegation_id):
            raise _missing(delegation_id)
        command = EndDelegation(
            meta=caused_by(request, caller),
            delegation_id=delegation_id,
            expected_version=expected_version(request),
            by=caller.actor,
            may_do_all=self._operators.has(caller),
        )
        return await self._answer(command, delegation_id)

    async def _answer(
        self, command: Delegate | EndDelegation, delegation_id: str, *, status: int = 200
    ) -> Response:
        committed = await self._service.dispatch(command)
        return stored_json(
            await document_after(self._service.store, self._delegations, delegation_id, committed),
            status=status,
            headers=command_headers(committed.version, committed.position),
        )


def _missing(delegation_id: str) -> DelegationNotFound:
    return DelegationNotFound(f"there is no delegation {delegation_id}")
