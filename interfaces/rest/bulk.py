"""``POST /workflows/bulk``: one order for all workflows that a filter finds, each with its own outcome."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.commands import CancelWorkflow, Command, RetryWorkflow
from domain.errors import Refusal
from domain.event import Metadata
from domain.values import derived_id, timestamp
from interfaces.rest.answers import json_response
from interfaces.rest.identity import Caller
from interfaces.rest.models import BulkFilter, BulkRequest
from interfaces.rest.requests import caused_by, read_body
from interfaces.rest.service import Service
from interfaces.rest.workflows import PREFIX
from projections.ports import Document, Query
from projections.workflows import Workflows

MOST = 200
"""So many workflows are taken at once; ``total`` tells how many there are."""

_AT_ONCE = 16


class BulkRoutes:
    """Retry or cancel many."""

    def __init__(self, service: Service, workflows: Workflows) -> None:
        self._service = service
        self._workflows = workflows

    def routes(self) -> list[Route]:
        """The one route."""
        return [self._service.route(f"{PREFIX}/bulk", self.order, "POST")]

    async def order(self, request: Request, caller: Caller) -> Response:
        """Give the order to each that is found; with ``dryRun``, only tell which those are."""
        body = await read_body(request, BulkRequest)
        page = await self._service.documents.query(
            self._workflows.container, caller.tenant, _query(body.filter)
        )
        meta = caused_by(request, caller)
        if body.dry_run:
            outcomes: Sequence[Mapping[str, Any]] = [
                {"workflowId": document.id, "outcome": "would_be_ordered"} for document in page.documents
            ]
        else:
            outcomes = await self._order_each(page.documents, body, meta)
        return json_response({"total": page.total, "dryRun": body.dry_run, "outcomes": outcomes})

    async def _order_each(
        self, documents: Sequence[Document], body: BulkRequest, meta: Metadata
    ) -> Sequence[Mapping[str, Any]]:
        places = asyncio.Semaphore(_AT_ONCE)

        async def outcome(document: Document) -> Mapping[str, Any]:
            async with places:
                try:
                    committed = await self._service.dispatch(_command(document.id, body, meta))
                except Refusal as refusal:
                    told = {"code": refusal.code, "message": refusal.message}
                    return {"workflowId": document.id, "outcome": "refused", "error": told}
            return {"workflowId": document.id, "outcome": "done" if committed.new else "unchanged"}

        return await asyncio.gather(*map(outcome, documents))


def _command(workflow_id: str, body: BulkRequest, meta: Metadata) -> Command:
    own = msgspec.structs.replace(meta, command_id=derived_id("bulk", meta.command_id, workflow_id))
    if body.action == "cancel":
        return CancelWorkflow(meta=own, workflow_id=workflow_id, reason=body.reason)
    return RetryWorkflow(meta=own, workflow_id=workflow_id)


def _query(filter: BulkFilter) -> Query:
    equal = {
        "opportunityId": filter.opportunity_id,
        "status": filter.status,
        "definition": filter.definition,
    }
    return Query(
        equal={field: value for field, value in equal.items() if value is not None},
        sort_from=timestamp(filter.created_after) if filter.created_after else None,
        sort_before=timestamp(filter.created_before) if filter.created_before else None,
        limit=MOST,
    )
