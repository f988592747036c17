"""The Starlette application: routes, error shapes and the request middleware, put together."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from domain.errors import Failure, Refusal
from interfaces.rest.errors import ApiError, on_api_error, on_failure, on_http_exception, on_refusal
from interfaces.rest.metrics import Metrics
from interfaces.rest.middleware import RequestMiddleware
from interfaces.rest.routing import PreparedRouter


def create_app(routes: Iterable[Route], metrics: Metrics) -> Starlette:
    """The application over its routes."""
    app = Starlette(
        middleware=[Middleware(RequestMiddleware, metrics=metrics)],
        exception_handlers={
            ApiError: on_api_error,
            Refusal: on_refusal,
            Failure: on_failure,
            HTTPException: on_http_exception,
        },
    )
    app.router = PreparedRouter(routes)
    return app
