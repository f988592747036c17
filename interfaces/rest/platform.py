"""``/system/settings``: the effective settings of the process that responds, for the platform's operators."""

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
    """The route of the settings: ``settings`` without secrets, ``sources`` where each value comes from, and
    ``versions`` of the service and what it runs on."""

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
        """Return the route."""
        guarded = for_system_operators(self.settings, self._operators)
        return [self._service.route("/api/v1/system/settings", guarded, "GET", reads=())]

    async def settings(self, request: Request, caller: Caller) -> Response:
        """Return the effective settings without secrets, their sources, and the versions."""
        read_query(request, NoQuery)
        shown = {"settings": self._settings, "sources": self._sources, "versions": self._versions}
        return json_response(shown)
