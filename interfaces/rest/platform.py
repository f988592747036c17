"""``/system/settings``: what the platform's operators ask of the process that answers: by what it works."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from interfaces.rest.answers import json_response
from interfaces.rest.identity import Caller, Operators
from interfaces.rest.models import NoQuery
from interfaces.rest.requests import read_query
from interfaces.rest.service import Service
from interfaces.rest.system_tenant import for_system_operators


class PlatformRoutes:
    """The route; ``settings`` are those that may be shown, ``sources`` where each of them comes from, and
    ``versions`` those of what is at work."""

    def __init__(
        self,
        service: Service,
        operators: Operators,
        *,
        settings: Mapping[str, Any],
        sources: Mapping[str, Any],
        versions: Mapping[str, str],
    ) -> None:
        self._service = service
        self._operators = operators
        self._settings = settings
        self._sources = sources
        self._versions = versions

    def routes(self) -> list[Route]:
        """Every route, with its method."""
        guarded = for_system_operators(self.settings, self._operators)
        return [self._service.route("/api/v1/system/settings", guarded, "GET", reads=())]

    async def settings(self, request: Request, caller: Caller) -> Response:
        """The effective ones, without secrets, where each comes from, and the versions."""
        read_query(request, NoQuery)
        shown = {"settings": self._settings, "sources": self._sources, "versions": self._versions}
        return json_response(shown)
