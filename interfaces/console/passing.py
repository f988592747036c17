"""Passes on a response of the API part by part: a stream of events, or a download that is not kept in memory.

A refusal by the API is raised, so that it is shown as on any page.
"""

from collections.abc import Mapping

import msgspec
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interfaces.rest.errors import ApiError

_KEPT = ("type", "asgi", "http_version", "method", "scheme", "server", "client", "extensions")
_ASKED = (b"last-event-id", b"accept", b"accept-encoding")
_NOT_SNIFFED = (b"x-content-type-options", b"nosniff")


class Passed(Response):
    """The API's response to the caller that ``headers`` identify, sent over the visitor's connection."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str], path: str, query: str) -> None:
        super().__init__()
        self._app = app
        self._own = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        self._path = path
        self._query = query

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the request to the API on the visitor's behalf.

        Raises:
            ApiError: the API has refused it.
        """
        refusal = _Refusal(send)
        asked = [(name, value) for name, value in scope["headers"] if name in _ASKED]
        await self._app(
            {
                **{name: scope[name] for name in _KEPT if name in scope},
                "root_path": "",
                "path": self._path,
                "raw_path": self._path.encode(),
                "query_string": self._query.encode(),
                "headers": [*asked, *self._own],
            },
            receive,
            refusal.send,
        )
        refusal.tell()


class _Refusal:
    """Sends a successful response on, without the ID of the API's own request, and keeps one that is an
    error."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status = 0
        self._headers = Headers()
        self._body = b""

    async def send(self, message: Message) -> None:
        """Take a part of the response."""
        if message["type"] == "http.response.start" and message["status"] >= 400:
            self._status, self._headers = message["status"], Headers(raw=message["headers"])
        elif self._status:
            self._body += message.get("body", b"")
        elif message["type"] == "http.response.start":
            headers = [each for each in message["headers"] if each[0] != b"x-request-id"]
            await self._send({**message, "headers": [*headers, _NOT_SNIFFED]})
        else:
            await self._send(message)

    def tell(self) -> None:
        """Raise the error, if the response was one.

        Raises:
            ApiError: the API's error.
        """
        if self._status:
            error = msgspec.json.decode(self._body)["error"]
            kept = {name: self._headers[name] for name in ("Retry-After",) if name in self._headers}
            raise ApiError(self._status, error["code"], error["message"], headers=kept)
