"""``/hitl/approvals``: ask, list, look into, approve, reject."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.commands import ApproveApproval, RejectApproval, RequestApproval
from domain.approval import approval_stream
from domain.errors import ApprovalNotFound
from domain.values import is_uuid, timestamp
from interfaces.rest.answers import stored_json
from interfaces.rest.errors import ApiError
from interfaces.rest.idempotency import id_to_make
from interfaces.rest.identity import Caller
from interfaces.rest.models import ApprovalFilters, CreateApprovalRequest, DecisionRequest, Paging
from interfaces.rest.requests import caused_by, expected_version, read_body, read_query
from interfaces.rest.service import Service, command_headers
from projections.approvals import Approvals
from projections.projection import document_of

PREFIX = "/api/v1/hitl/approvals"


class ApprovalRoutes:
    """The routes of approvals."""

    def __init__(self, service: Service, approvals: Approvals) -> None:
        self._service = service
        self._approvals = approvals

    def routes(self) -> list[Route]:
        """Every route, with its method."""
        route = self._service.route
        return [
            route(PREFIX, self.list, "GET", reads=[self._approvals.container]),
            route(PREFIX, self.create, "POST"),
            route(f"{PREFIX}/{{id}}", self.get, "GET", reads=[self._approvals.container]),
            route(f"{PREFIX}/{{id}}/events", self.events, "GET", reads=[]),
            route(f"{PREFIX}/{{id}}/approve", self.approve, "POST"),
            route(f"{PREFIX}/{{id}}/reject", self.reject, "POST"),
        ]

    async def create(self, request: Request, caller: Caller) -> Response:
        """Ask a person to decide."""
        body = await read_body(request, CreateApprovalRequest)
        approval_id = id_to_make(request, caller)
        committed = await self._service.dispatch(
            RequestApproval(
                meta=caused_by(request, caller),
                approval_id=approval_id,
                opportunity_id=body.opportunity_id,
                risk_score=body.risk_score,
                amount=body.amount,
                requested_at=body.requested_at,
                owner_id=body.owner_id,
                approver_id=body.approver_id,
                recipient_id=body.recipient_id,
                correlation_id=body.correlation_id,
                approval_url=body.approval_url,
            )
        )
        headers = command_headers(committed.version, committed.position)
        headers["Location"] = f"{PREFIX}/{approval_id}"
        return stored_json(
            document_of(self._approvals, approval_id, await self._service.store.events_of(committed)),
            status=201,
            headers=headers,
        )

    async def list(self, request: Request, caller: Caller) -> Response:
        """Approvals of the tenant, the newest first."""
        filters = read_query(request, ApprovalFilters)
        return await self._service.page(
            self._approvals.container,
            caller,
            "approvals",
            filters,
            equal={"opportunityId": filters.opportunity_id, "status": filters.status},
            sort_from=timestamp(filters.created_after) if filters.created_after else None,
            sort_before=timestamp(filters.created_before) if filters.created_before else None,
        )

    async def get(self, request: Request, caller: Caller) -> Response:
        """One approval."""
        approval_id = request.path_params["id"]
        return await self._service.document(
            self._approvals,
            caller,
            approval_id,
            stream=approval_stream(caller.tenant, approval_id.lower()),
            missing=_missing(approval_id),
        )

    async def events(self, request: Request, caller: Caller) -> Response:
        """The approval's audit trail."""
        approval_id = request.path_params["id"]
        paging = read_query(request, Paging)
        stream = approval_stream(caller.tenant, approval_id.lower())
        return await self._service.history(approval_id, stream, paging, _missing(approval_id))

    async def approve(self, request: Request, caller: Caller) -> Response:
        """Let the deal go on."""
        return await self._decide(request, caller, ApproveApproval)

    async def reject(self, request: Request, caller: Caller) -> Response:
        """Stop the deal."""
        return await self._decide(request, caller, RejectApproval)

    async def _decide(
        self, request: Request, caller: Caller, decision: type[ApproveApproval] | type[RejectApproval]
    ) -> Response:
        body = await read_body(request, DecisionRequest)
        if caller.user_id is not None and body.decided_by != caller.user_id:
            raise ApiError(403, "NOT_YOURSELF", "decidedBy must be the user of the token")
        approval_id = request.path_params["id"].lower()
        if not is_uuid(approval_id):
            raise _missing(approval_id)
        committed = await self._service.dispatch(
            decision(
                meta=caused_by(request, caller),
                approval_id=approval_id,
                decided_by=body.decided_by,
                comment=body.comment,
                expected_version=expected_version(request),
            )
        )
        return stored_json(
            document_of(self._approvals, approval_id, await self._service.store.events_of(committed)),
            headers=command_headers(committed.version, committed.position),
        )


def _missing(approval_id: str) -> ApprovalNotFound:
    return ApprovalNotFound(f"there is no approval {approval_id}")
