"""Requests that do not come to their end: the connection is closed, and that is no error of ours."""

import asyncio
from contextlib import suppress

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

from interfaces.rest.http_protocol import ABORT

_GONE_SECONDS = 1.0


async def cut_off(scope: Scope, receive: Receive) -> None:
    """Close the connection, if there is one, without waiting for what the client has not taken."""
    connection = scope.get("extensions", {}).get(ABORT)
    if connection is None:
        return
    connection["abort"]()
    with anyio.move_on_after(_GONE_SECONDS):
        while (await receive())["type"] != "http.disconnect":
            pass


class CancelledQuietly:
    """The application as uvicorn runs it, each request in a task of its own with nothing above it.

    uvicorn cancels what has not been answered within the time for a stop. The request middleware has told the
    client by then, or closed the connection; what goes on to uvicorn is in the log as an error of ours.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        with suppress(asyncio.CancelledError):
            await self._app(scope, receive, send)
