"""Every refusal as the REST contract words it: one table from type to status code."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import (
    BadInput,
    BrokerUnavailable,
    Conflict,
    DirectoryUnavailable,
    Failure,
    NotAllowed,
    NotFound,
    Refusal,
    ThingArchived,
    TooMuchAtOnce,
    VersionMismatch,
)
from domain.faults import Fault, listed
from interfaces.rest.answers import json_response

STATUS_OF: Mapping[type[Refusal | TooMuchAtOnce], int] = {
    NotAllowed: 403,
    NotFound: 404,
    ThingArchived: 410,
    Conflict: 409,
    VersionMismatch: 412,
    BadInput: 400,
    TooMuchAtOnce: 400,
}

RETRY_AFTER_SECONDS = 5

Teller = Callable[[Request, int, str, Mapping[str, str] | None], Response | None]
"""Tells a status and a message, with headers, to a person; ``None`` where it is a program that asks."""


def status_of(refusal: Refusal | TooMuchAtOnce) -> int:
    """The status code of a business rule's no, or the store's."""
    return next(status for kind, status in STATUS_OF.items() if isinstance(refusal, kind))


log = structlog.get_logger(__name__)


class ApiError(Exception):
    """A refusal at the edge: the request itself is not one that we take."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = headers


class Invalid(ApiError):
    """400 with every fault at once."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        summary = "; ".join(f"{each.field}: {each.message}" for each in faults)
        super().__init__(400, "VALIDATION_ERROR", summary, details=listed(faults))
        self.faults = faults


def overloaded() -> ApiError:
    """503: more requests at once than are answered. Nothing was decided."""
    return ApiError(
        503,
        "OVERLOADED",
        "too many requests at once; try again",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def stopping() -> ApiError:
    """503: what could not be answered before the service had to end. It may be repeated, elsewhere."""
    return ApiError(
        503,
        "STOPPING",
        "the service is stopping and could not answer in time; try again",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def unavailable(failure: Failure) -> ApiError:
    """503: what is away is told the caller; how, only the log."""
    if isinstance(failure, DirectoryUnavailable):
        what = "directory"
        log.warning("directory_unavailable", error=str(failure))
    elif isinstance(failure, BrokerUnavailable):
        what = "broker"
        log.warning("broker_unavailable", error=str(failure))
    else:
        what = "store"
        log.warning("store_unavailable", error=str(failure))
    return ApiError(
        503,
        f"{what.upper()}_UNAVAILABLE",
        f"the {what} is unavailable or too slow; try again",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def refused(refusal: Refusal | TooMuchAtOnce) -> ApiError:
    """A business rule's no, or the store's."""
    return ApiError(status_of(refusal), refusal.code, refusal.message, details=refusal.details)


def broken() -> ApiError:
    """500: what broke, and on what, only the log is told."""
    return ApiError(500, "INTERNAL_ERROR", "an internal error occurred")


def refusal_of(error: Exception) -> ApiError:
    """What a request is answered with that ends by an error."""
    match error:
        case ApiError():
            return error
        case Refusal() | TooMuchAtOnce():
            return refused(error)
        case Failure():
            return unavailable(error)
    log.error("request_failed", exc_info=error)
    return broken()


def error_response(
    request: Request,
    status: int,
    code: str,
    message: str,
    *,
    details: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error in the contract's one shape, or as a page where it is a person who asks."""
    tell: Teller | None = getattr(request.state, "tell", None)
    if tell is not None and (page := tell(request, status, message, headers)) is not None:
        return page
    error: dict[str, Any] = {"code": code, "message": message}
    if details is not None:
        error["details"] = details
    error["requestId"] = request.state.request_id
    return json_response({"error": error}, status=status, headers=headers)


async def on_api_error(request: Request, error: Exception) -> Response:
    """A request that we do not take."""
    assert isinstance(error, ApiError)
    return error_response(
        request, error.status, error.code, error.message, details=error.details, headers=error.headers
    )


async def on_refusal(request: Request, error: Exception) -> Response:
    """A business rule's no, or the store's."""
    assert isinstance(error, Refusal | TooMuchAtOnce)
    return await on_api_error(request, refused(error))


async def on_failure(request: Request, error: Exception) -> Response:
    """The store is away or too slow: nothing is known to be decided, and the request may be repeated."""
    assert isinstance(error, Failure)
    return await on_api_error(request, unavailable(error))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """What the router itself refuses: an unknown route, a method that a route does not have."""
    assert isinstance(error, HTTPException)
    codes = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
    code = codes.get(error.status_code, "BAD_REQUEST")
    return error_response(request, error.status_code, code, str(error.detail), headers=error.headers)
