"""The Starlette application: routes, error responses and the request middleware."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from domain.errors import Failure, Refusal, TooMuchAtOnce
from interfaces.rest.errors import (
    ApiError,
    ErrorPage,
    on_api_error,
    on_failure,
    on_http_exception,
    on_refusal,
)
from interfaces.rest.metrics import Metrics
from interfaces.rest.middleware import RequestMiddleware
from interfaces.rest.routing import PreparedRouter
from interfaces.rest.this_machine import ThisMachineOnly


class Application(Starlette):
    """The application, without Starlette's response to unexpected errors: the request middleware has its own.

    ``error_page`` may return an error as a page. With ``this_machine_only``, requests that came by the name
    of another machine are refused.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        metrics: Metrics,
        error_page: ErrorPage | None = None,
        *,
        this_machine_only: bool = False,
    ) -> None:
        super().__init__(
            exception_handlers={
                ApiError: on_api_error,
                Refusal: on_refusal,
                TooMuchAtOnce: on_refusal,
                Failure: on_failure,
                HTTPException: on_http_exception,
            },
        )
        self.router = PreparedRouter(routes)
        self._metrics = metrics
        self._error_page = error_page
        self._this_machine_only = this_machine_only

    def build_middleware_stack(self) -> ASGIApp:
        """Return the middleware from outside to inside: request, host guard if needed, errors, router."""
        told = ExceptionMiddleware(self.router, self.exception_handlers)
        guarded = ThisMachineOnly(told) if self._this_machine_only else told
        return RequestMiddleware(guarded, self._metrics, self._error_page)
