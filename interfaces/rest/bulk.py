"""``POST /workflows/bulk``: one action for all workflows that match a filter, each with its own outcome."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.command import Command
from application.requests import AcceptRequest
from application.workflow_commands import CancelWorkflow, RetryWorkflow
from domain.event import Metadata
from domain.request import RequestAccepted
from domain.values import derived_id
from interfaces.rest.answers import json_response
from interfaces.rest.errors import ApiError
from interfaces.rest.idempotency import id_to_make, idempotency_key
from interfaces.rest.identity import Caller, Operators
from interfaces.rest.models import BulkFilter, BulkRequest
from interfaces.rest.outcomes import not_carried_out, try_all
from interfaces.rest.requests import caused_by, names_no_correlation, read_body
from interfaces.rest.service import Service
from interfaces.rest.workflows import PREFIX
from projections.ports import Query
from projections.workflows import Workflows

MOST = 200
"""How many workflows a request processes at most. ``total`` in the response counts all that match."""


class BulkRoutes:
    """The route of bulk actions. ``would_do`` returns whether a command would change anything."""

    def __init__(
        self,
        service: Service,
        workflows: Workflows,
        operators: Operators,
        would_do: Callable[[Command], Awaitable[bool]],
    ) -> None:
        self._service = service
        self._workflows = workflows
        self._operators = operators
        self._would_do = would_do

    def routes(self) -> list[Route]:
        """Return the route."""
        return [self._service.route(f"{PREFIX}/bulk", self.order, "POST")]

    async def order(self, request: Request, caller: Caller) -> Response:
        """Apply the action to each workflow that matches; with ``dryRun``, only return what would happen."""
        body = await read_body(request, BulkRequest)
        meta = caused_by(request, caller)
        page = await self._service.documents.query(
            self._workflows.container, caller.tenant, _query(body.filter)
        )
        found, total = tuple(document.id for document in page.documents), page.total
        if not body.dry_run and idempotency_key(request) is not None:
            found, total = await self._accepted(id_to_make(request, caller), found, total, meta)
        order = self._try_out if body.dry_run else self._give
        may_do_all = self._operators.has(caller)
        alone = names_no_correlation(request)
        outcomes = await try_all(order, [_command(each, body, meta, may_do_all, alone) for each in found])
        position = await self._service.head(caller)
        told = [_told(*each) for each in zip(found, outcomes, strict=True)]
        return json_response(
            {"total": total, "dryRun": body.dry_run, "outcomes": told},
            headers={"X-Position": position} if position else None,
        )

    async def _accepted(
        self, request_id: str, found: tuple[str, ...], total: int, meta: Metadata
    ) -> tuple[tuple[str, ...], int]:
        """Return the workflows of the first request with this ID, whatever the filter matches by now."""
        accept = AcceptRequest(meta=meta, request_id=request_id, things=found, total=total)
        accepted: RequestAccepted = (await self._service.dispatch(accept)).past.state
        return accepted.things, accepted.total

    async def _give(self, command: Command) -> str:
        committed = await self._service.dispatch(command)
        return "done" if command.meta.command_id in committed.past.commands else "unchanged"

    async def _try_out(self, command: Command) -> str:
        return "would_be_ordered" if await self._would_do(command) else "unchanged"


def _told(workflow_id: str, outcome: str | ApiError) -> Mapping[str, Any]:
    if not isinstance(outcome, ApiError):
        return {"workflowId": workflow_id, "outcome": outcome}
    return {"workflowId": workflow_id, **not_carried_out(outcome)}


def _command(
    workflow_id: str, body: BulkRequest, meta: Metadata, may_do_all: bool, alone: bool
) -> CancelWorkflow | RetryWorkflow:
    """Return the command for one workflow. ``alone`` means that the request has no correlation ID."""
    own = msgspec.structs.replace(meta, command_id=derived_id("bulk", meta.command_id, workflow_id))
    about: dict[str, Any] = {"meta": own, "workflow_id": workflow_id, "names_no_correlation": alone}
    if body.action == "cancel":
        return CancelWorkflow(**about, reason=body.reason, may_do_all=may_do_all)
    return RetryWorkflow(**about, reason=body.reason)


def _query(filter: BulkFilter) -> Query:
    equal = {
        "opportunityId": filter.opportunity_id,
        "status": filter.status,
        "definition": filter.definition,
    }
    return Query(
        equal={field: value for field, value in equal.items() if value is not None},
        limit=MOST,
        **filter.sort_range,
    )
