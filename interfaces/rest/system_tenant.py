"""Routes of what belongs to the platform itself, and so to the system tenant."""

from starlette.requests import Request
from starlette.responses import Response

from domain.values import SYSTEM_TENANT
from interfaces.rest.errors import ApiError
from interfaces.rest.identity import Caller
from interfaces.rest.service import Endpoint


def for_the_system_tenant(endpoint: Endpoint) -> Endpoint:
    """The endpoint, for the system tenant's callers alone: 403 for the others."""

    async def guarded(request: Request, caller: Caller) -> Response:
        if caller.tenant != SYSTEM_TENANT:
            raise ApiError(403, "SYSTEM_TENANT_ONLY", "this belongs to the system tenant")
        return await endpoint(request, caller)

    return guarded
