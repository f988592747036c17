"""``/system/parked-messages``: messages that can never be handled. For operators of the system tenant."""

from collections.abc import Callable
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.parked import ParkedMessage, ParkedMessages, not_parked
from domain.values import is_uuid, timestamp
from interfaces.rest.answers import json_response
from interfaces.rest.identity import Caller, Operators
from interfaces.rest.models import NoQuery, OptionalReasonRequest, ReasonRequest
from interfaces.rest.requests import read_body, read_query
from interfaces.rest.service import Endpoint, Service
from interfaces.rest.system_tenant import for_system_operators

PREFIX = "/api/v1/system/parked-messages"

MOST_SHOWN_BYTES = 64 * 1024

log = structlog.get_logger(__name__)


class ParkedRoutes:
    """The routes of parked messages."""

    def __init__(self, service: Service, parked: ParkedMessages, operators: Operators) -> None:
        self._service = service
        self._parked = parked
        self._operators = operators

    def routes(self) -> list[Route]:
        """Return all routes."""
        return [
            self._route("", self.list, "GET"),
            self._route("/{id}", self.get, "GET"),
            self._route("/{id}/requeue", self.requeue, "POST"),
            self._route("/{id}/discard", self.discard, "POST"),
        ]

    async def list(self, request: Request, caller: Caller) -> Response:
        """Return the oldest messages without their payloads."""
        read_query(request, NoQuery)
        messages, total = await self._parked.oldest()
        return json_response({"parkedMessages": [_shown(each) for each in messages], "total": total})

    async def get(self, request: Request, caller: Caller) -> Response:
        """Return one message with its payload. The access is logged, because the payload may contain
        secrets."""
        read_query(request, NoQuery)
        message, body = await self._parked.find(_id(request))
        _noted("parked_message_looked_at", caller)(message)
        payload = body[:MOST_SHOWN_BYTES].decode(errors="replace")
        return json_response(
            {**_shown(message), "payload": payload, "payloadCut": len(body) > MOST_SHOWN_BYTES}
        )

    async def requeue(self, request: Request, caller: Caller) -> Response:
        """Send a message to the consumer again. The body may have a reason."""
        body = await read_body(request, OptionalReasonRequest, optional=True)
        why = {} if body.reason is None else {"reason": body.reason}
        note = _noted("parked_message_requeued", caller, **why)
        return json_response(_shown(await self._parked.requeue(_id(request), note)))

    async def discard(self, request: Request, caller: Caller) -> Response:
        """Delete a message. The body has the reason."""
        body = await read_body(request, ReasonRequest)
        note = _noted("parked_message_discarded", caller, reason=body.reason)
        return json_response(_shown(await self._parked.discard(_id(request), note)))

    def _route(self, path: str, endpoint: Endpoint, method: str) -> Route:
        guarded = for_system_operators(endpoint, self._operators)
        return self._service.route(PREFIX + path, guarded, method, reads=())


def _noted(event: str, caller: Caller, **why: str) -> Callable[[ParkedMessage], None]:
    """Return a function that logs who does something with a message."""

    def note(message: ParkedMessage) -> None:
        log.warning(event, person=caller.actor, parked_id=message.id, of=message.message_id, **why)

    return note


def _id(request: Request) -> str:
    id = str(request.path_params["id"]).lower()
    if not is_uuid(id):
        raise not_parked(id)
    return id


def _shown(message: ParkedMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "reason": message.reason,
        "routingKey": message.routing_key,
        "size": message.size,
        **({"messageId": message.message_id} if message.message_id else {}),
        **({"parkedAt": timestamp(message.parked_at)} if message.parked_at else {}),
    }
