"""Routes of many approvals: the list, the inbox of a person, counts, and decisions in bulk."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.approval_commands import ApproveApproval, RejectApproval
from application.event_log import BEGINNING, number_of
from application.people import PeopleLookup
from application.ports import Clock
from application.requests import AcceptRequest
from application.side_by_side import all_of
from domain.approval import ANYONE
from domain.event import Metadata
from domain.values import derived_id, is_uuid, timestamp
from interfaces.rest.answers import json_response
from interfaces.rest.approval_models import ApprovalFilters, DecisionsRequest, InboxOf, OneDecision
from interfaces.rest.approvals import PREFIX, ballot_of, missing
from interfaces.rest.errors import ApiError
from interfaces.rest.folded import document_after
from interfaces.rest.idempotency import id_to_make, idempotency_key
from interfaces.rest.identity import Caller
from interfaces.rest.outcomes import not_carried_out, try_all
from interfaces.rest.requests import caused_by, names_no_correlation, read_body, read_query
from interfaces.rest.service import Service, command_headers
from projections.approvals import Approvals
from projections.ports import Query

_ASKED_AT_ONCE = 16
"""For how many people the groups are looked up concurrently."""

_STATUSES = ("pending", "approved", "rejected", "withdrawn", "expired")


class InboxRoutes:
    """The routes of many approvals."""

    def __init__(self, service: Service, approvals: Approvals, people: PeopleLookup, clock: Clock) -> None:
        self._service = service
        self._approvals = approvals
        self._people = people
        self._clock = clock

    def routes(self) -> list[Route]:
        """Return all routes. They must come before those of one approval."""
        route, reads = self._service.route, [self._approvals.container]
        return [
            route(PREFIX, self.list, "GET", reads=reads),
            route(f"{PREFIX}/counts", self.counts, "GET", reads=reads),
            route(f"{PREFIX}/decisions", self.decide, "POST"),
        ]

    async def list(self, request: Request, caller: Caller) -> Response:
        """Return the tenant's approvals, newest first."""
        filters = read_query(request, ApprovalFilters)
        status = filters.status
        if status is None and (filters.overdue or filters.assignee is not None):
            status = "pending"
        waiting = {} if filters.assignee is None else await self._waiting_for(caller, filters.assignee)
        return await self._service.page(
            request,
            self._approvals.container,
            caller,
            "approvals",
            filters,
            equal={"opportunityId": filters.opportunity_id, "status": status},
            below={"dueAt": timestamp(self._clock.now())} if filters.overdue else None,
            **filters.sort_range,
            **waiting,
        )

    async def counts(self, request: Request, caller: Caller) -> Response:
        """Return how many approvals are in each state; with an assignee, how many wait for that person."""
        assignee = read_query(request, InboxOf).assignee
        statuses = _STATUSES if assignee is None else ("pending",)
        waiting = {} if assignee is None else await self._waiting_for(caller, assignee)
        counts = {
            status: await self._count(caller, Query(equal={"status": status}, limit=1, **waiting))
            for status in statuses
        }
        now = timestamp(self._clock.now())
        overdue = Query(equal={"status": "pending"}, below={"dueAt": now}, limit=1, **waiting)
        return json_response({**counts, "overdue": await self._count(caller, overdue)})

    async def decide(self, request: Request, caller: Caller) -> Response:
        """Take several decisions, each with its own outcome. ``X-Position`` is after all of them, and after
        changes that other requests made first."""
        body = await read_body(request, DecisionsRequest)
        meta = caused_by(request, caller)
        if idempotency_key(request) is not None:
            things = tuple(decision.approval_id for decision in body.decisions)
            request_id = id_to_make(request, caller)
            await self._service.dispatch(
                AcceptRequest(meta=meta, request_id=request_id, things=things, total=len(things))
            )
        positions, alone = [BEGINNING], names_no_correlation(request)

        async def decide(numbered: tuple[int, OneDecision]) -> Mapping[str, Any]:
            number, decision = numbered
            own = derived_id("decision", meta.command_id, str(number))
            told, position = await self._decided(
                msgspec.structs.replace(meta, command_id=own), caller, decision, alone
            )
            positions.append(position)
            return told

        outcomes = await try_all(decide, enumerate(body.decisions))
        position = await self._service.head(caller) or max(positions, key=number_of)
        told = [_told(*each) for each in zip(body.decisions, outcomes, strict=True)]
        return json_response({"outcomes": told}, headers={"X-Position": position})

    async def _decided(
        self, meta: Metadata, caller: Caller, decision: OneDecision, alone: bool
    ) -> tuple[Mapping[str, Any], str]:
        """Return the outcome of a decision and the position after it. ``alone`` means that the request has no
        correlation ID."""
        if not is_uuid(decision.approval_id):
            raise missing(decision.approval_id)
        approval_id = decision.approval_id.lower()
        kind = ApproveApproval if decision.decision == "approve" else RejectApproval
        committed = await self._service.dispatch(
            kind(
                meta=meta,
                approval_id=approval_id,
                names_no_correlation=alone,
                ballot=ballot_of(decision, caller),
            )
        )
        document = await document_after(self._service.store, self._approvals, approval_id, committed)
        told = {
            "approvalId": approval_id,
            "outcome": "done",
            "status": 200,
            "etag": command_headers(committed.version, committed.position)["ETag"],
            "approval": msgspec.Raw(document),
        }
        return told, committed.position

    async def _waiting_for(self, caller: Caller, person: str) -> dict[str, Any]:
        """Return the query of the approvals that wait for a person: by name, through their groups and roles,
        or because they decide on behalf of others. If they do, approvals whose part they have handed on are
        included, because they may still decide on behalf of others there.
        """
        tenant = caller.tenant
        principals = await self._people.principals_of(tenant, person, self._clock.now())
        everybody = (person, *principals)
        groups = await all_of(
            lambda each: self._people.groups_of(tenant, each), everybody, at_once=_ASKED_AT_ONCE
        )
        keys = {ANYONE, *(f"user:{each}" for each in everybody)}
        keys.update(f"group:{group}" for theirs in groups for group in theirs)
        if person == caller.person:
            keys.update(f"role:{role}" for role in caller.roles)
        done = ("settled",) if principals else ("settled", "handedOn")
        return {"any_of": {"assignees": sorted(keys)}, "none_of": dict.fromkeys(done, person)}

    async def _count(self, caller: Caller, query: Query) -> int:
        page = await self._service.documents.query(self._approvals.container, caller.tenant, query)
        return page.total


def _told(decision: OneDecision, outcome: Mapping[str, Any] | ApiError) -> Mapping[str, Any]:
    if not isinstance(outcome, ApiError):
        return outcome
    return {"approvalId": decision.approval_id, "status": outcome.status, **not_carried_out(outcome)}
