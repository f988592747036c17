"""Streamed responses: their number, how one is written, and how it ends.

A stream does not count among the requests that are answered. While it waits it holds no connection to a
store, and in memory only the piece that is being sent. A client that receives nothing is disconnected.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio
import structlog
from starlette.types import Receive, Scope, Send

from application.subscription import Subscription
from domain.errors import Failure
from interfaces.rest.cut_off import cut_off
from interfaces.rest.errors import RETRY_AFTER_SECONDS, ApiError, overloaded

T = TypeVar("T")

MEDIA_TYPE = "text/event-stream"

HEARTBEAT_SECONDS = 15.0
SLOW_SECONDS = 15.0
"""How long a client may receive nothing of what is sent."""

_PAUSE_AFTER_A_FAILURE_SECONDS = 1.0

_HEADERS = [(b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
"""They keep proxies from caching and buffering a stream."""

log = structlog.get_logger(__name__)


class CutOff(Exception):
    """A stream cannot be completed: what was sent is only a part."""


class Writer:
    """Writes one stream."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._heartbeat_at = 0.0

    async def event(self, data: bytes, *, id: int | None = None, name: str | None = None) -> None:
        """Send an event: JSON on one line, with an ID if a client may continue after it.

        Raises:
            TimeoutError: the client receives nothing.
        """
        lines = [b"data: " + data, b"", b""]
        if name is not None:
            lines.insert(0, b"event: " + name.encode())
        if id is not None:
            lines.insert(0, b"id: %d" % id)
        await self.write(b"\n".join(lines))

    async def wait(self, watch: Subscription) -> None:
        """Wait until there may be something to send, or until a heartbeat is due, which is then sent."""
        await watch.wait(max(0.0, self._heartbeat_at - anyio.current_time()))
        if anyio.current_time() >= self._heartbeat_at:
            await self.write(b": still here\n\n")

    async def patiently(self, look: Callable[[], Awaitable[T]]) -> T:
        """Return the result of reading the store. If the store is unavailable, retry until it is back."""
        while True:
            try:
                return await look()
            except Failure as error:
                log.warning("stream_waits_for_the_store", error=str(error))
                await anyio.sleep(_PAUSE_AFTER_A_FAILURE_SECONDS)
                if anyio.current_time() >= self._heartbeat_at:
                    await self.write(b": the store is unavailable\n\n")

    async def write(self, content: bytes) -> None:
        """Send a piece. This waits until the server's buffer is nearly empty.

        Raises:
            TimeoutError: the client receives nothing.
        """
        with anyio.fail_after(SLOW_SECONDS):
            await self._send({"type": "http.response.body", "body": content, "more_body": True})
        self._heartbeat_at = anyio.current_time() + HEARTBEAT_SECONDS


class EventStreams:
    """The streams of one process: at most ``most`` at once, and ``most_a_tenant`` for one tenant.

    A stream ends after ``longest_seconds``, so that its client has to reconnect with a token that is still
    valid.
    """

    def __init__(self, *, most: int, most_a_tenant: int, longest_seconds: float) -> None:
        self._most = most
        self._most_a_tenant = most_a_tenant
        self._longest_seconds = longest_seconds
        self._open: Counter[str] = Counter()
        self._scopes: set[anyio.CancelScope] = set()
        self._is_stopping = False

    @property
    def open(self) -> int:
        """How many streams are open."""
        return self._open.total()

    async def serve(
        self,
        tenant: str,
        write: Callable[[Writer], Awaitable[None]],
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        media_type: str = MEDIA_TYPE,
        greeting: bytes = b"retry: 2000\n\n",
        may_end_anywhere: bool = True,
    ) -> None:
        """Send what ``write`` writes until it returns, the client disconnects or is too slow, or
        :meth:`stop`.

        The response to ``HEAD`` ends at once. If a stream is not complete and not ``may_end_anywhere``, the
        connection is closed, so that nobody takes the part for the whole.

        Raises:
            ApiError: 429 or 503, there are too many streams, of the tenant or in all.
        """
        with self._place(tenant) as ending:
            headers = [(b"content-type", media_type.encode()), *_HEADERS]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            is_slow = is_gone = is_whole = False
            with ending:
                async with anyio.create_task_group() as tasks:

                    async def until_gone() -> None:
                        nonlocal is_gone
                        while (await receive())["type"] != "http.disconnect":
                            pass
                        is_gone = True
                        tasks.cancel_scope.cancel()

                    tasks.start_soon(until_gone)
                    writer = Writer(send)
                    try:
                        if greeting:
                            await writer.write(greeting)
                        await write(writer)
                        is_whole = True
                    except TimeoutError:
                        is_slow = True
                    except CutOff as why:
                        log.warning("stream_broken_off", tenant_id=tenant, error=str(why))
                    tasks.cancel_scope.cancel()
            if is_slow:
                log.info("slow_stream_cut_off", tenant_id=tenant)
                await cut_off(scope, receive)
            elif not (is_gone or is_whole or may_end_anywhere):
                log.info("stream_cut_off", tenant_id=tenant)
                await cut_off(scope, receive)
            elif not is_gone:
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    def stop(self) -> None:
        """End every stream, and refuse new ones."""
        self._is_stopping = True
        for scope in self._scopes:
            scope.cancel()

    @contextmanager
    def _place(self, tenant: str) -> Iterator[anyio.CancelScope]:
        if self._is_stopping or self.open >= self._most:
            raise overloaded()
        if self._open[tenant] >= self._most_a_tenant:
            message = f"the tenant already has {self._most_a_tenant} open streams"
            raise ApiError(
                429, "TOO_MANY_STREAMS", message, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}
            )
        ending = anyio.CancelScope(deadline=anyio.current_time() + self._longest_seconds)
        self._open[tenant] += 1
        self._scopes.add(ending)
        try:
            yield ending
        finally:
            self._scopes.discard(ending)
            self._open[tenant] -= 1
            if not self._open[tenant]:
                del self._open[tenant]
