"""Error responses of the REST API: which status code each type of error has, and their one shape."""

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

ErrorPage = Callable[[Request, int, str, Mapping[str, str] | None], Response | None]
"""Returns an error (status, message, headers) as a page for a person, or None if a program asks."""


def status_of(refusal: Refusal | TooMuchAtOnce) -> int:
    """Return the status code of a refusal by a business rule or by the store."""
    return next(status for kind, status in STATUS_OF.items() if isinstance(refusal, kind))


log = structlog.get_logger(__name__)


class ApiError(Exception):
    """An error response. The routes raise it if a request is not valid."""

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
    """400, with every fault of the request."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        summary = "; ".join(f"{each.field}: {each.message}" for each in faults)
        super().__init__(400, "VALIDATION_ERROR", summary, details=listed(faults))
        self.faults = faults


def overloaded() -> ApiError:
    """Return a 503: there are more requests than are answered at once. The request has changed nothing."""
    return ApiError(
        503,
        "OVERLOADED",
        "too many requests at once; try again",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def stopping() -> ApiError:
    """Return a 503: the request could not be answered before the service had to end. It may be repeated."""
    return ApiError(
        503,
        "STOPPING",
        "the service is stopping and could not answer in time; try again",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def unavailable(failure: Failure) -> ApiError:
    """Return a 503 that names what is unavailable. Only the log has the details."""
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
    """Return the response to a refusal by a business rule or by the store."""
    return ApiError(status_of(refusal), refusal.code, refusal.message, details=refusal.details)


def internal_error() -> ApiError:
    """Return a 500. Only the log has the details."""
    return ApiError(500, "INTERNAL_ERROR", "an internal error occurred")


def refusal_of(error: Exception) -> ApiError:
    """Return the response to a request that ended with an error."""
    match error:
        case ApiError():
            return error
        case Refusal() | TooMuchAtOnce():
            return refused(error)
        case Failure():
            return unavailable(error)
    log.error("request_failed", exc_info=error)
    return internal_error()


def error_response(
    request: Request,
    status: int,
    code: str,
    message: str,
    *,
    details: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error in the contract's one shape, or as a page if a person asks."""
    error_page: ErrorPage | None = getattr(request.state, "error_page", None)
    if error_page is not None and (page := error_page(request, status, message, headers)) is not None:
        return page
    error: dict[str, Any] = {"code": code, "message": message}
    if details is not None:
        error["details"] = details
    error["requestId"] = request.state.request_id
    return json_response({"error": error}, status=status, headers=headers)


async def on_api_error(request: Request, error: Exception) -> Response:
    """Respond with the error itself."""
    assert isinstance(error, ApiError)
    return error_response(
        request, error.status, error.code, error.message, details=error.details, headers=error.headers
    )


async def on_refusal(request: Request, error: Exception) -> Response:
    """Respond to a refusal by a business rule or by the store."""
    assert isinstance(error, Refusal | TooMuchAtOnce)
    return await on_api_error(request, refused(error))


async def on_failure(request: Request, error: Exception) -> Response:
    """Respond if a store is unavailable or too slow. It is not known whether the request has changed
    anything; it may be repeated."""
    assert isinstance(error, Failure)
    return await on_api_error(request, unavailable(error))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Respond to what the router refuses: an unknown route, or a method that a route does not have."""
    assert isinstance(error, HTTPException)
    codes = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
    code = codes.get(error.status_code, "BAD_REQUEST")
    return error_response(request, error.status_code, code, str(error.detail), headers=error.headers)
