"""``/health``, ``/ready`` and the metrics."""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.ports import Clock
from domain.errors import Failure
from domain.values import timestamp
from interfaces.rest.answers import json_response
from interfaces.rest.errors import ApiError
from interfaces.rest.identity import bearer_token
from interfaces.rest.metrics import CONTENT_TYPE, Metrics
from projections.follower_status import FollowerStatus

CHECK_TIMEOUT_SECONDS = 3.0


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of something that the service depends on. ``off`` means turned off by configuration."""

    status: Literal["up", "down", "off"]
    detail: str | None = None


class RootRoutes:
    """The routes that need no tenant. ``metrics_token`` is the bearer token for the metrics, if any."""

    def __init__(
        self,
        *,
        service_name: str,
        version: str,
        clock: Clock,
        checks: Mapping[str, Callable[[], Awaitable[Check]]],
        followers: Callable[[], Sequence[FollowerStatus]],
        metrics: Metrics,
        metrics_path: str,
        metrics_token: str | None,
    ) -> None:
        self._service_name = service_name
        self._version = version
        self._clock = clock
        self._checks = checks
        self._followers = followers
        self._metrics = metrics
        self._metrics_path = metrics_path
        self._metrics_token = metrics_token

    def routes(self) -> list[Route]:
        """Return all routes."""
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/ready", self.ready, methods=["GET"]),
            Route(self._metrics_path, self.metrics, methods=["GET"]),
        ]

    async def health(self, request: Request) -> Response:
        """Respond that the process is running."""
        return json_response(
            {
                "status": "ok",
                "service": self._service_name,
                "version": self._version,
                "timestamp": timestamp(self._clock.now()),
            }
        )

    async def ready(self, request: Request) -> Response:
        """Return the state of everything that is configured; 503 if something is unavailable."""
        checks: dict[str, Any] = {name: await _checked(check) for name, check in self._checks.items()}
        is_ready = all(check.status != "down" for check in checks.values())
        checks["followers"] = [_shown(status) for status in self._followers()]
        return json_response(
            {"status": "ready" if is_ready else "not_ready", "checks": checks},
            status=200 if is_ready else 503,
        )

    async def metrics(self, request: Request) -> Response:
        """Return the metrics in Prometheus' text format, if the token is right or none is configured."""
        if self._metrics_token is not None:
            given = bearer_token(request.headers.get("authorization", ""))
            if given is None or not hmac.compare_digest(given.encode(), self._metrics_token.encode()):
                raise ApiError(
                    401,
                    "UNAUTHORIZED",
                    "the metrics require their bearer token",
                    headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
                )
        return Response(self._metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})


async def _checked(check: Callable[[], Awaitable[Check]]) -> Check:
    try:
        with anyio.fail_after(CHECK_TIMEOUT_SECONDS):
            return await check()
    except Failure as failure:
        return Check("down", str(failure))
    except TimeoutError:
        return Check("down", f"no answer within {CHECK_TIMEOUT_SECONDS:g} s")


def _shown(status: FollowerStatus) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": status.name,
        "status": status.state,
        "lagSeconds": round(status.lag_seconds, 3),
    }
    if status.error is not None:
        shown["error"] = status.error
    return shown
