"""An answer of the API as it is, part by part: a stream of events, or a download held in nobody's memory."""

from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_KEPT = ("type", "asgi", "http_version", "method", "scheme", "server", "client", "state", "extensions")
_ASKED = (b"last-event-id", b"accept", b"accept-encoding")


class Passed(Response):
    """What the API answers to the visitor's own connection, as to whoever ``headers`` say."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str], path: str, query: str) -> None:
        super().__init__()
        self._app = app
        self._own = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        self._path = path
        self._query = query

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the API in the visitor's place."""
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
            send,
        )
