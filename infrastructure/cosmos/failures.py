"""Cosmos DB's failures: which ones pass, how long the server asks us to wait, and our errors for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from azure.core.exceptions import AzureError
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError
from tenacity import RetryCallState, wait_exponential_jitter

from domain.errors import StoreUnavailable

_NOT_OF_AN_ITEM = {1002, 1003}
"""Sub-statuses of a 404 that are not about an item: the replica lacks what this client has written or seen,
or the container is missing."""

_RETRY_WITH = 449
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, _RETRY_WITH, HTTPStatus.SERVICE_UNAVAILABLE}
_AWAY = _PASSING | {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.GONE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.GATEWAY_TIMEOUT,
}
"""A 404 counts only if it is not about an item: see :func:`tells_absence`."""

_without_advice = wait_exponential_jitter(multiplier=0.2, max=2, jitter=0.2)


def tells_absence(error: CosmosHttpResponseError) -> bool:
    """Return whether a 404 says that the item does not exist. A caller may create an item that does not
    exist."""
    return error.sub_status not in _NOT_OF_AN_ITEM


def may_pass(error: BaseException) -> bool:
    """Return whether to retry soon.

    429 and failed connections are not included, because the SDK has already retried these for long enough.
    The SDK retries a 503 at most once, and does not wait as long as the server asks. When one operation of a
    batch is refused, the SDK takes that for an answer and does not retry; nothing of the batch is done then.
    """
    if isinstance(error, CosmosBatchOperationError):
        return error.status_code in _PASSING | {HTTPStatus.TOO_MANY_REQUESTS}
    return isinstance(error, CosmosHttpResponseError) and error.status_code in _PASSING


def asked_to_wait(state: RetryCallState) -> float:
    """Return the seconds that the server asks us to wait, or else an exponential backoff with jitter."""
    error = state.outcome.exception() if state.outcome else None
    headers = (error.headers if isinstance(error, CosmosHttpResponseError) else None) or {}
    try:
        if "x-ms-retry-after-ms" in headers:
            return max(0.0, float(headers["x-ms-retry-after-ms"]) / 1000)
        if "retry-after" in headers:
            return max(0.0, float(headers["retry-after"]))
    except ValueError:
        pass  # it may be a date; the clocks need not agree
    return _without_advice(state)


@contextmanager
def failures_translated(container: str) -> Iterator[None]:
    """Raise the SDK's errors as ours.

    An error of the request itself (400, 413) stays as it is, because waiting does not help.
    """
    try:
        yield
    except CosmosHttpResponseError as error:
        if error.status_code not in _AWAY:
            raise
        raise StoreUnavailable(f"Cosmos DB, {container}: {first_line(error)}") from error
    except AzureError as error:
        raise StoreUnavailable(f"Cosmos DB, {container}: {first_line(error)}") from error
    except TimeoutError as error:
        raise StoreUnavailable(f"Cosmos DB, {container}: no answer in time") from error


def first_line(error: BaseException) -> str:
    """Return an error's text without the request that it is about."""
    lines = str(error).strip().splitlines()
    text = lines[0].rstrip(", ") if lines else type(error).__name__
    status = error.status_code if isinstance(error, CosmosHttpResponseError) else None
    return text if status is None else f"{status} {text}"
