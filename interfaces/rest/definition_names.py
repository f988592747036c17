"""Suggests existing workflow definitions if a request names one that does not exist."""

from collections.abc import Collection
from contextlib import suppress

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import DefinitionNotFound, Failure
from domain.suggestions import did_you_mean, nearest
from interfaces.rest.identity import Caller
from interfaces.rest.service import Endpoint, Service
from projections.ports import Container, Query

MOST_TOLD = 10
_LOOKED_AT = 50
"""How many of a tenant's newest definitions are considered: each is read with all its steps."""


class _Status(msgspec.Struct):
    status: str


class DefinitionNames:
    """The names of the ``shipped`` definitions, and of a tenant's own in a ``container``."""

    def __init__(self, service: Service, container: Container, shipped: Collection[str]) -> None:
        self._service = service
        self._container = container
        self._shipped = shipped

    def suggesting(self, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint of a definition's path that adds suggestions to ``DefinitionNotFound``."""

        async def with_suggestion(request: Request, caller: Caller) -> Response:
            try:
                return await endpoint(request, caller)
            except DefinitionNotFound as unknown:
                raise await self.with_suggestions(unknown, caller, request.path_params["name"]) from None

        return with_suggestion

    async def with_suggestions(
        self, unknown: DefinitionNotFound, caller: Caller, name: str
    ) -> DefinitionNotFound:
        """Return the refusal with the most similar names, or unchanged if the name exists and only its
        version does not, or if the documents are unavailable."""
        with suppress(Failure):
            names = [*self._shipped, *await self._own(caller)]
            if name not in names:
                told = nearest(name, names, MOST_TOLD)
                return DefinitionNotFound(unknown.message + did_you_mean(name, names), {"definitions": told})
        return unknown

    async def _own(self, caller: Caller) -> list[str]:
        query = Query(limit=_LOOKED_AT, counted=False)
        page = await self._service.documents.query(self._container, caller.tenant, query)
        return [
            each.id
            for each in page.documents
            if msgspec.json.decode(each.body, type=_Status).status == "active"
        ]
