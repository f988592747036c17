"""What every request gets: an ID, a log line, metrics, and a 500 without details for an unexpected error.

A response is ``no-store`` unless it has its own ``Cache-Control``: behind a gateway that identifies users by
a cookie, the responses to different tenants have the same URL.
"""

import asyncio
import re
import time

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from domain.values import is_uuid
from interfaces.ids import new_id
from interfaces.rest.cut_off import cut_off
from interfaces.rest.errors import ErrorPage, internal_error, on_api_error, stopping
from interfaces.rest.metrics import Metrics

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")

UNMATCHED = "unmatched"

CLIENT_GONE = 499
"""The status in the metrics if a client disconnects before it has sent its body."""

_CACHE_CONTROL = b"cache-control"
_NOT_KEPT = (_CACHE_CONTROL, b"no-store")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class RequestMiddleware:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, metrics: Metrics, error_page: ErrorPage | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._error_page = error_page
        self._log = structlog.get_logger(__name__).bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = Headers(scope=scope)
        made, named = new_id(), _correlation(headers)
        request_id, correlation_id = _request_id(headers) or made, named or made
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        state["correlation_id"] = correlation_id
        state["names_correlation"] = named is not None
        state["error_page"] = self._error_page
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = message["headers"]
                if not any(name == _CACHE_CONTROL for name, _ in answered):
                    answered.append(_NOT_KEPT)
                answered.append((b"x-request-id", request_id.encode()))
            await send(message)

        before = bind_contextvars(request_id=request_id, correlation_id=correlation_id)
        try:
            await self._app(scope, receive, send_marked)
        except ClientDisconnect:
            status = status or CLIENT_GONE
        except asyncio.CancelledError:
            if status:
                await cut_off(scope, receive)
            else:
                response = await on_api_error(Request(scope), stopping())
                await response(scope, receive, send_marked)
            raise
        except Exception:
            self._log.exception("request_failed", method=scope["method"], path=scope["path"])
            if status:
                raise
            response = await on_api_error(Request(scope), internal_error())
            await response(scope, receive, send_marked)
        finally:
            seconds = time.perf_counter() - began
            route = _route(scope)
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            self._metrics.request(method, route, status, seconds)
            self._log.info(
                "request",
                method=scope["method"],
                route=route,
                status=status,
                duration_ms=round(seconds * 1000, 2),
                tenant_id=state.get("tenant"),
            )
            reset_contextvars(**before)


def _request_id(headers: Headers) -> str | None:
    """Return the ID that the request has, if it is valid."""
    given = headers.get("x-request-id", "")
    return given if _SANE_REQUEST_ID.fullmatch(given) else None


def _correlation(headers: Headers) -> str | None:
    """Return the correlation ID that the request has, if it is valid."""
    given = headers.get("x-correlation-id", "").strip().lower()
    return given if is_uuid(given) else None


def _route(scope: Scope) -> str:
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else UNMATCHED
