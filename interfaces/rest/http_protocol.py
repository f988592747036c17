"""uvicorn's HTTP protocol, with a limit on the head and the trailers of a request.

httptools collects a head of any size in memory before it passes it on, and also the trailers after a chunked
body. Trailers are dropped: uvicorn would add them to the headers, where they could name a caller in spite of
a gateway that sets only the headers (RFC 9110, 6.5.1).

A client may send requests without waiting for the answers. If its connection is lost, uvicorn tells only the
last of them. Here the one that is being answered is told, too: it would write to a closed connection.
"""

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from interfaces.ids import new_id

MAX_HEAD_BYTES = 64 * 1024

ABORT = "workflow_orchestrator.abort"
"""An extension of a request's scope. Its ``abort`` closes the connection and discards what was not sent
yet."""

_REFUSAL = (
    b"HTTP/1.1 %b\r\n"
    b"content-type: application/json\r\n"
    b"x-request-id: %b\r\n"
    b"connection: close\r\n"
    b"content-length: %d\r\n\r\n%b"
)

_TOO_LARGE = (
    b"431 Request Header Fields Too Large",
    "HEADERS_TOO_LARGE",
    f"the request line and headers must be at most {MAX_HEAD_BYTES} bytes, and so must trailers",
)

_NO_HTTP = (b"400 Bad Request", "VALIDATION_ERROR", "this is not an HTTP request")


class BoundedHttpProtocol(HttpToolsProtocol):
    """Refuses a head or trailers larger than ``MAX_HEAD_BYTES``, and closes the connection."""

    url = b""
    _head_bytes = 0
    """Bytes received since the last complete part of a request."""

    _in_body = False
    _progressed = False
    _under_way: RequestResponseCycle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is being answered, and drop those that wait."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None and not under_way.response_complete:
            under_way.disconnected = True
            under_way.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Continue with the next request, if it has arrived."""
        self._under_way = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and count the bytes that have not completed a part of the request yet."""
        self._progressed = False
        super().data_received(data)
        if self._progressed:
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, and drop a trailer."""
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the head is complete."""
        self._progressed = self._in_body = True
        self.scope["extensions"] = {ABORT: {"abort": self.transport.abort}}
        super().on_headers_complete()
        if not self.pipeline:
            self._under_way = self.cycle

    def on_body(self, body: bytes) -> None:
        """Note that a part of the body has arrived."""
        self._progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self._progressed, self._in_body = True, False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the contract's shape. httptools also refuses a URL of
        ``MAX_HEAD_BYTES``: the response to that is 431."""
        self._refuse(*(_TOO_LARGE if len(self.url) >= MAX_HEAD_BYTES else _NO_HTTP))

    def _refuse_head(self) -> None:
        """Respond with 431, or only close the connection if the response has begun."""
        if self._in_body and self.cycle is not None and self.cycle.response_started:
            self.transport.abort()
        else:
            self._refuse(*_TOO_LARGE)

    def _refuse(self, status: bytes, code: str, message: str) -> None:
        request_id = new_id()
        body = msgspec.json.encode({"error": {"code": code, "message": message, "requestId": request_id}})
        self.transport.write(_REFUSAL % (status, request_id.encode(), len(body), body))
        self.transport.close()
