"""Guards of the routes that belong to the platform itself, and so to the system tenant."""

from starlette.requests import Request
from starlette.responses import Response

from domain.values import SYSTEM_TENANT
from interfaces.rest.errors import ApiError
from interfaces.rest.identity import Caller, Operators
from interfaces.rest.service import Endpoint


def for_the_system_tenant(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint for callers of the system tenant only. For others it raises an ApiError (403)."""

    async def guarded(request: Request, caller: Caller) -> Response:
        if caller.tenant != SYSTEM_TENANT:
            message = f"this belongs to the system tenant: X-Tenant-ID must be {SYSTEM_TENANT}"
            raise ApiError(403, "SYSTEM_TENANT_ONLY", message)
        return await endpoint(request, caller)

    return guarded


def for_system_operators(endpoint: Endpoint, operators: Operators) -> Endpoint:
    """Return the endpoint for operators of the system tenant only. For others it raises an ApiError (403)."""

    async def guarded(request: Request, caller: Caller) -> Response:
        if not operators.has(caller):
            raise ApiError(403, "FORBIDDEN", "only an operator may do this")
        return await endpoint(request, caller)

    return for_the_system_tenant(guarded)
