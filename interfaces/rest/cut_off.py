"""Requests that are not completed: the connection is closed, and this is not logged as an error."""

import asyncio
from contextlib import suppress

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

from interfaces.rest.http_protocol import ABORT

_GONE_SECONDS = 1.0


async def cut_off(scope: Scope, receive: Receive) -> None:
    """Close the connection, if there is one, and discard what the client has not received yet."""
    connection = scope.get("extensions", {}).get(ABORT)
    if connection is None:
        return
    connection["abort"]()
    with anyio.move_on_after(_GONE_SECONDS):
        while (await receive())["type"] != "http.disconnect":
            pass


class CancelledQuietly:
    """Keeps the cancellation of a request from uvicorn.

    uvicorn runs each request in a task of its own, and cancels the tasks that are not done within the time
    for a stop. By then the request middleware has responded or closed the connection; uvicorn would log the
    cancellation as an error.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        with suppress(asyncio.CancelledError):
            await self._app(scope, receive, send)
