"""Who names a workflow definition that there is not is told which there are, of their own tenant's."""

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
"""Of a tenant's own, the newest: each comes with all its steps."""


class _Status(msgspec.Struct):
    status: str


class DefinitionNames:
    """Those of ``shipped`` definitions, and of a tenant's own in a ``container``."""

    def __init__(self, service: Service, container: Container, shipped: Collection[str]) -> None:
        self._service = service
        self._container = container
        self._shipped = shipped

    def told_by(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint of a definition's path, which tells them where there is no such definition."""

        async def telling(request: Request, caller: Caller) -> Response:
            try:
                return await endpoint(request, caller)
            except DefinitionNotFound as unknown:
                raise await self.instead(unknown, caller, request.path_params["name"]) from None

        return telling

    async def instead(self, unknown: DefinitionNotFound, caller: Caller, name: str) -> DefinitionNotFound:
        """The refusal of a name with those that are nearest to it, if it is not a version that there is not.
        It stands as it is while the documents are away."""
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
