"""uvicorn's HTTP protocol with a bound on what a request may send before its body.

httptools collects a head of any size in memory; nothing above it is asked before the head is complete.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024

ABORT = "workflow_orchestrator.abort"
"""An extension of a request's scope: its ``abort`` closes the connection, whatever was not taken yet."""

_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: application/json\r\n"
    b"connection: close\r\n"
    b"content-length: %d\r\n\r\n%b"
)
_BODY = (
    b'{"error":{"code":"HEADERS_TOO_LARGE","message":"the request line and headers may have 65536 bytes"}}'
)


class BoundedHttpProtocol(HttpToolsProtocol):
    """Refuses a head that grows beyond the bound, and closes the connection."""

    _head_bytes = 0
    _in_body = False
    _progressed = False

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and count what it could not make anything of yet."""
        self._progressed = self._in_body
        super().data_received(data)
        if self._progressed:
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_REFUSAL % (len(_BODY), _BODY))
            self.transport.close()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._progressed = self._in_body = True
        self.scope["extensions"] = {ABORT: {"abort": self.transport.abort}}
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next head may come."""
        self._progressed, self._in_body = True, False
        super().on_message_complete()
