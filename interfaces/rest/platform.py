"""What the platform's operators ask of the service itself: parked messages, settings, versions."""

from collections.abc import Mapping
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.parked import ParkedMessage, ParkedMessages
from domain.values import timestamp
from interfaces.rest.answers import json_response
from interfaces.rest.identity import Caller
from interfaces.rest.models import NoQuery, ParkedQuery, ReasonRequest
from interfaces.rest.requests import read_body, read_query
from interfaces.rest.service import Endpoint, Service
from interfaces.rest.system_tenant import for_the_system_tenant

PREFIX = "/api/v1/system"
_MOST_SHOWN_BYTES = 64 * 1024

log = structlog.get_logger(__name__)


class PlatformRoutes:
    """The routes; ``settings`` are those that may be shown, ``versions`` those of what is at work."""

    def __init__(
        self,
        service: Service,
        parked: ParkedMessages,
        *,
        settings: Mapping[str, Any],
        versions: Mapping[str, str],
    ) -> None:
        self._service = service
        self._parked = parked
        self._settings = settings
        self._versions = versions

    def routes(self) -> list[Route]:
        """Every route, with its method."""
        return [
            self._route("/settings", self.settings, "GET"),
            self._route("/parked-messages", self.list, "GET"),
            self._route("/parked-messages/{id}", self.get, "GET"),
            self._route("/parked-messages/{id}/requeue", self.requeue, "POST"),
            self._route("/parked-messages/{id}/discard", self.discard, "POST"),
        ]

    async def settings(self, request: Request, caller: Caller) -> Response:
        """With what it runs."""
        read_query(request, NoQuery)
        return json_response({"settings": self._settings, "versions": self._versions})

    async def list(self, request: Request, caller: Caller) -> Response:
        """What came in and could never be handled, the oldest first."""
        found = await self._parked.look(read_query(request, ParkedQuery).limit)
        return json_response({"messages": [_shown(each) for each in found.messages], "total": found.total})

    async def get(self, request: Request, caller: Caller) -> Response:
        """One of them, with what it says."""
        read_query(request, NoQuery)
        message = await self._parked.find(request.path_params["id"])
        return json_response({**_shown(message), **_content(message)})

    async def requeue(self, request: Request, caller: Caller) -> Response:
        """Have one handled again."""
        body = await read_body(request, ReasonRequest)
        message = await self._parked.requeue(request.path_params["id"])
        return _seen_to("requeued", message, caller, body.reason)

    async def discard(self, request: Request, caller: Caller) -> Response:
        """Throw one away."""
        body = await read_body(request, ReasonRequest)
        message = await self._parked.discard(request.path_params["id"])
        return _seen_to("discarded", message, caller, body.reason)

    def _route(self, path: str, endpoint: Endpoint, method: str) -> Route:
        return self._service.route(PREFIX + path, for_the_system_tenant(endpoint), method, reads=[])


def _shown(message: ParkedMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "reason": message.reason,
        "parkedAt": timestamp(message.parked_at),
        "routingKey": message.routing_key,
        "messageId": message.message_id,
        "bytes": len(message.body),
    }


def _content(message: ParkedMessage) -> dict[str, Any]:
    """As text, whatever it is, up to a size that can be read."""
    body = message.body[:_MOST_SHOWN_BYTES].decode(errors="replace")
    return {"body": body, "isWhole": len(message.body) <= _MOST_SHOWN_BYTES}


def _seen_to(what: str, message: ParkedMessage, caller: Caller, reason: str) -> Response:
    """Who did what to it, and why, stays in the service's own log: no event is about a message."""
    log.warning(
        f"parked_message_{what}",
        parked_id=message.id,
        message_id=message.message_id,
        routing_key=message.routing_key,
        person=caller.person,
        reason=reason,
    )
    return json_response({**_shown(message), "status": what})
