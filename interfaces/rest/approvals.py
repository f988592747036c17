"""``/hitl/approvals``: request an approval, read it, decide on it, and the other commands on one approval."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.approval_commands import (
    ApprovalCommand,
    ApproveApproval,
    ClaimApproval,
    CommentOnApproval,
    ReassignApproval,
    RejectApproval,
    ReleaseApproval,
    RequestApproval,
    ReviseApproval,
    WithdrawApproval,
)
from application.policies.approval_steps import ApprovalSteps
from application.ports import Clock
from domain.approval import Ballot, approval_stream
from domain.errors import ApprovalNotFound
from domain.faults import Fault
from domain.values import NOT_PERSONS, is_person, is_uuid
from interfaces.rest.answers import stored_json
from interfaces.rest.approval_models import (
    CommentRequest,
    CreateApprovalRequest,
    DecisionRequest,
    ReassignRequest,
    ReviseRequest,
    rules_broken,
)
from interfaces.rest.as_of import asked_as_of
from interfaces.rest.errors import ApiError, Invalid
from interfaces.rest.folded import document_after
from interfaces.rest.idempotency import id_to_make
from interfaces.rest.identity import Caller, Operators, person_of
from interfaces.rest.models import NothingToSayRequest, Paging, ReasonRequest
from interfaces.rest.requests import caused_by, order_in, read_body, read_query
from interfaces.rest.service import Service, command_headers
from projections.approvals import Approvals

PREFIX = "/api/v1/hitl/approvals"


class ApprovalRoutes:
    """The routes of one approval."""

    def __init__(self, service: Service, approvals: Approvals, operators: Operators, clock: Clock) -> None:
        self._service = service
        self._approvals = approvals
        self._operators = operators
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return all routes."""
        route, one = self._service.route, f"{PREFIX}/{{id}}"
        return [
            route(PREFIX, self.create, "POST"),
            route(one, self.get, "GET", reads=[self._approvals.container], made_by=ApprovalSteps.name),
            route(f"{one}/events", self.events, "GET", reads=[], made_by=ApprovalSteps.name),
            route(f"{one}/approve", self.approve, "POST", versioned=True),
            route(f"{one}/reject", self.reject, "POST", versioned=True),
            route(f"{one}/withdraw", self.withdraw, "POST", versioned=True),
            route(f"{one}/reassign", self.reassign, "POST", versioned=True),
            route(f"{one}/revise", self.revise, "POST", versioned=True),
            route(f"{one}/claim", self.claim, "POST", versioned=True),
            route(f"{one}/release", self.release, "POST", versioned=True),
            route(f"{one}/comments", self.comment, "POST", versioned=True),
        ]

    async def create(self, request: Request, caller: Caller) -> Response:
        """Request an approval."""
        try:
            body = await read_body(request, CreateApprovalRequest)
        except Invalid as refusal:
            broken = rules_broken(request.state.body, self._clock.now())
            raise Invalid([*refusal.faults, *broken]) from None
        approval_id = id_to_make(request, caller)
        command = RequestApproval(
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
            requested_by=caller.person,
            subject=body.subject,
            payload=body.payload,
            policy=body.chosen_policy,
            due_at=body.due_at,
        )
        response = await self._answer(command, status=201)
        response.headers["Location"] = f"{PREFIX}/{approval_id}"
        return response

    async def get(self, request: Request, caller: Caller) -> Response:
        """Return one approval, as it is now or was at ``asOf``."""
        approval_id = request.path_params["id"]
        stream = approval_stream(caller.tenant, approval_id.lower())
        return await self._service.document(
            self._approvals,
            caller,
            approval_id,
            stream=stream,
            missing=missing(approval_id),
            as_of=asked_as_of(request),
        )

    async def events(self, request: Request, caller: Caller) -> Response:
        """Return the approval's audit trail."""
        approval_id = request.path_params["id"]
        paging = read_query(request, Paging)
        stream = approval_stream(caller.tenant, approval_id.lower())
        return await self._service.history(request, approval_id, stream, paging, missing(approval_id))

    async def approve(self, request: Request, caller: Caller) -> Response:
        """Record that a person agrees."""
        return await self._decide(request, caller, ApproveApproval)

    async def reject(self, request: Request, caller: Caller) -> Response:
        """Record that a person rejects."""
        return await self._decide(request, caller, RejectApproval)

    async def withdraw(self, request: Request, caller: Caller) -> Response:
        """Withdraw an approval."""
        body = await read_body(request, ReasonRequest)
        return await self._answer(
            WithdrawApproval(
                **_command(request, caller),
                reason=body.reason,
                by=caller.actor,
                may_do_all=self._operators.has(caller),
            )
        )

    async def reassign(self, request: Request, caller: Caller) -> Response:
        """Hand the caller's part to another user or group."""
        body = await read_body(request, ReassignRequest)
        return await self._answer(
            ReassignApproval(
                **_command(request, caller),
                ballot=Ballot(by=caller.actor, roles=caller.roles),
                to=body.approver,
                reason=body.reason,
                may_do_all=self._operators.has(caller),
            )
        )

    async def revise(self, request: Request, caller: Caller) -> Response:
        """Change the facts of an approval."""
        body = await read_body(request, ReviseRequest)
        return await self._answer(
            ReviseApproval(
                **_command(request, caller),
                by=caller.actor,
                may_do_all=self._operators.has(caller),
                amount=body.amount,
                risk_score=body.risk_score,
                subject=body.subject,
                payload=body.payload,
                reason=body.reason,
            )
        )

    async def claim(self, request: Request, caller: Caller) -> Response:
        """Mark an approval as being handled by the caller."""
        await read_body(request, NothingToSayRequest, optional=True)
        ballot = Ballot(by=person_of(caller), roles=caller.roles)
        return await self._answer(ClaimApproval(**_command(request, caller), ballot=ballot))

    async def release(self, request: Request, caller: Caller) -> Response:
        """Release a claim."""
        await read_body(request, NothingToSayRequest, optional=True)
        return await self._answer(
            ReleaseApproval(
                **_command(request, caller), by=caller.actor, may_do_all=self._operators.has(caller)
            )
        )

    async def comment(self, request: Request, caller: Caller) -> Response:
        """Add a comment."""
        body = await read_body(request, CommentRequest)
        return await self._answer(
            CommentOnApproval(**_command(request, caller), by=caller.actor, text=body.text), status=201
        )

    async def _decide(
        self,
        request: Request,
        caller: Caller,
        decision: type[ApproveApproval] | type[RejectApproval],
    ) -> Response:
        body = await read_body(request, DecisionRequest)
        ballot = ballot_of(body, caller)
        return await self._answer(decision(**_command(request, caller), ballot=ballot))

    async def _answer(self, command: ApprovalCommand, *, status: int = 200) -> Response:
        committed = await self._service.execute(command)
        return stored_json(
            await document_after(self._service.store, self._approvals, command.approval_id, committed),
            status=status,
            headers=command_headers(committed.version, committed.position),
        )


def ballot_of(body: DecisionRequest, caller: Caller) -> Ballot:
    """Return a person's decision, in their own right or on behalf of another. A gateway that sends no user
    may send the decision of any person.

    Raises:
        ApiError: 400, ``decidedBy`` is not a person; 403, it is not the caller.
    """
    if not is_person(body.decided_by):
        raise Invalid([Fault("decidedBy", f"must not begin with {', '.join(NOT_PERSONS)}")])
    if caller.person is not None and body.decided_by != caller.person:
        raise ApiError(403, "NOT_YOURSELF", "decidedBy must be the user who makes the request")
    return Ballot(
        by=body.decided_by,
        roles=caller.roles if caller.person is not None else frozenset(),
        comment=body.comment,
        digest=body.payload_digest,
        stage=body.stage,
        on_behalf_of=body.on_behalf_of,
    )


def missing(approval_id: str) -> ApprovalNotFound:
    """Return the error if the tenant has no such approval."""
    return ApprovalNotFound(f"there is no approval {approval_id}")


def _command(request: Request, caller: Caller) -> dict[str, Any]:
    """Return the fields of every command on the approval in the path. Call this after the body has been read.

    Raises:
        ApprovalNotFound: the path has no UUID.
        VersionMismatch: ``If-Match`` is not an ``ETag`` of this service.
    """
    approval_id = request.path_params["id"]
    if not is_uuid(approval_id):
        raise missing(approval_id)
    return {
        **order_in(request, caller),
        "approval_id": approval_id.lower(),
    }
