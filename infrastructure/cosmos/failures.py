"""Cosmos DB's failures: which pass, when the server wants to be asked again, and what we call them."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from azure.core.exceptions import AzureError
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError
from tenacity import RetryCallState, wait_exponential_jitter

from domain.errors import StoreUnavailable

_NOT_OF_AN_ITEM = {1002, 1003}
"""Sub-statuses of a 404: what this client has written or seen cannot be read where it asks, and the container
is missing."""

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
"""A 404 comes here only where it is not about an item: see :func:`tells_absence`."""

_without_advice = wait_exponential_jitter(multiplier=0.2, max=2, jitter=0.2)


def tells_absence(error: CosmosHttpResponseError) -> bool:
    """Whether a 404 says that there is no such item. What is taken for absent may be written anew."""
    return error.sub_status not in _NOT_OF_AN_ITEM


def may_pass(error: BaseException) -> bool:
    """Whether to ask again soon.

    429 is not here, nor are connections that fail: the SDK has tried these for long enough. It asks
    again after a 503 once at most, and not when the server says. A refusal of one operation of a batch is
    an answer to the SDK, so it has tried nothing then, and nothing of the batch is done.
    """
    if isinstance(error, CosmosBatchOperationError):
        return error.status_code in _PASSING | {HTTPStatus.TOO_MANY_REQUESTS}
    return isinstance(error, CosmosHttpResponseError) and error.status_code in _PASSING


def asked_to_wait(state: RetryCallState) -> float:
    """The seconds that the server wants; where it does not say, exponential waits with jitter."""
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
    """The SDK's errors as ours.

    What is wrong with the request itself (400, 413) stays as it is: no waiting mends it.
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
    """What an error says, without the request that it is about."""
    lines = str(error).strip().splitlines()
    text = lines[0].rstrip(", ") if lines else type(error).__name__
    status = error.status_code if isinstance(error, CosmosHttpResponseError) else None
    return text if status is None else f"{status} {text}"
