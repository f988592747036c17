"""What is sent piece by piece: how many streams there may be, how one is written, and how it ends.

A stream holds no place of the requests that are answered, no connection to a store while it waits, and of
what it sends only the piece that the client is taking. A client that takes nothing is cut off.
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
"""For how long a client may take nothing of what is sent."""

_PAUSE_AFTER_A_FAILURE_SECONDS = 1.0

_HEADERS = [(b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
"""A proxy in between is to keep nothing of it back."""

log = structlog.get_logger(__name__)


class CutOff(Exception):
    """Something cannot be sent to its end; what was sent is not the whole."""


class Writer:
    """Writes one stream."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._heartbeat_at = 0.0

    async def event(self, data: bytes, *, id: int | None = None, name: str | None = None) -> None:
        """Send an event: JSON on one line, with an id where a client may go on after it.

        Raises:
            TimeoutError: the client takes nothing.
        """
        lines = [b"data: " + data, b"", b""]
        if name is not None:
            lines.insert(0, b"event: " + name.encode())
        if id is not None:
            lines.insert(0, b"id: %d" % id)
        await self.write(b"\n".join(lines))

    async def wait(self, watch: Subscription) -> None:
        """Wait until there may be more, but no longer than until a heartbeat is due, which is then sent."""
        await watch.wait(max(0.0, self._heartbeat_at - anyio.current_time()))
        if anyio.current_time() >= self._heartbeat_at:
            await self.write(b": still here\n\n")

    async def patiently(self, look: Callable[[], Awaitable[T]]) -> T:
        """What a look into the store finds, however long the store is away meanwhile."""
        while True:
            try:
                return await look()
            except Failure as error:
                log.warning("stream_waits_for_the_store", error=str(error))
                await anyio.sleep(_PAUSE_AFTER_A_FAILURE_SECONDS)
                if anyio.current_time() >= self._heartbeat_at:
                    await self.write(b": the store is away\n\n")

    async def write(self, content: bytes) -> None:
        """Send a piece; the server's buffer takes another one only when it is nearly empty.

        Raises:
            TimeoutError: the client takes nothing.
        """
        with anyio.fail_after(SLOW_SECONDS):
            await self._send({"type": "http.response.body", "body": content, "more_body": True})
        self._heartbeat_at = anyio.current_time() + HEARTBEAT_SECONDS


class EventStreams:
    """The streams of one process: ``most`` at once, of one tenant ``most_a_tenant``.

    After ``longest_seconds`` a stream ends, so that its client comes again with a token that is still good.
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
        """How many there are now."""
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
        """Send what ``write`` writes, until it returns, the client is gone or slow, or all are stopped.

        Who asks for the head alone has it at once: the next request comes on the same connection. What may
        not end anywhere is cut off when it is stopped, so that nobody takes it for the whole.

        Raises:
            ApiError: there are too many streams, of the tenant or of all.
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
        """End every stream, and let no other begin."""
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
