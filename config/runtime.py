"""The service's life: start every part, serve, and stop in an order that loses nothing."""

import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import anyio
import structlog
import uvicorn

from config.announcement import announce
from config.container import Container, build
from config.descriptors import require_enough, watch_over_descriptors
from config.garbage_collection import leave_alone_what_is_here_to_stay
from config.sections import Settings
from config.signals import Orders, listening, unless_told_to_stop
from config.start import CannotStart
from interfaces.rest.cut_off import CancelledQuietly
from interfaces.rest.http_protocol import BoundedHttpProtocol

HTTP_DRAIN_SECONDS = 4
FOLLOWERS_DRAIN_SECONDS = 4.0
LAST_SECONDS = 3.0
"""The part of the time to stop that is reserved for what cannot be cut short: a waiting thread, stores that
close."""

log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Run the service until SIGTERM, SIGINT or SIGHUP.

    Raises:
        CannotStart: the port is taken, a store cannot be used, or too few files may be opened.
    """
    require_enough(settings)
    try:
        async with AsyncExitStack() as stack:
            orders = stack.enter_context(listening())
            listener = bind(settings.server.host, settings.server.port)
            stack.callback(listener.close)
            container = await unless_told_to_stop(orders, build(settings, stack))
            if container is not None:
                await run(container, listener, orders)
    except CannotStart:
        raise
    except Exception:
        log.critical("crashed", exc_info=True)
        raise


async def run(container: Container, listener: socket.socket, orders: Orders) -> None:
    """Run a built service on a bound socket until it is told to stop."""
    config = uvicorn.Config(
        CancelledQuietly(container.app),
        loop="uvloop",
        http=BoundedHttpProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=HTTP_DRAIN_SECONDS,
    )
    server = _Server(config, container)
    stop = Stop(container.settings.server.shutdown_seconds)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_obey, orders, server, stop)
        tasks.start_soon(watch_over_descriptors)
        async with working(container, stop):
            if not stop.has_begun:
                announce(container, listener)
                leave_alone_what_is_here_to_stay()
                await server.serve([listener])
        tasks.cancel_scope.cancel()
    log.info("stopped")


@asynccontextmanager
async def working(container: Container, stop: "Stop | None" = None) -> AsyncIterator[None]:
    """Run everything except the HTTP server. At the end of the block everything is stopped in an order that
    loses nothing.

    If ``stop`` begins while the parts are taken over, that is no longer waited for.
    """
    stop = stop or Stop(container.settings.server.shutdown_seconds)
    async with anyio.create_task_group() as tasks:
        if container.stores.wakeups is not None:
            tasks.start_soon(container.stores.wakeups.run, name="wakeups")
        tasks.start_soon(container.task_news.run, name="task news")
        tasks.start_soon(container.watches.run, name="watches")
        if container.parts.job_health is not None:
            tasks.start_soon(container.parts.job_health.run, name="job health")
        container.transport.start(tasks)
        for leadership in container.parts.leaderships:
            tasks.start_soon(leadership.run, name="leadership")
        try:
            with stop.before:
                await container.parts.taken_over()
            yield
        finally:
            with anyio.CancelScope(deadline=stop.begin() - LAST_SECONDS, shield=True) as scope:
                await _stop_taking_in(container)
                await _finish(container)
            if scope.cancelled_caught:
                log.warning("stopped_in_haste", seconds=stop.seconds)
            tasks.cancel_scope.cancel()


class Stop:
    """The time that a whole stop may take. It begins with the first signal."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.before = anyio.CancelScope()
        """What is done in it is cancelled when the stop begins."""
        self._end: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether somebody has told the service to stop."""
        return self._end is not None

    def begin(self) -> float:
        """Begin, if it has not begun, and return when the time will be up."""
        if self._end is None:
            self._end = anyio.current_time() + self.seconds
            self.before.cancel()
        return self._end

    def begin_for_good(self) -> None:
        """Begin, and end the process in any case, because what hangs in a thread cannot be stopped otherwise.

        Nothing is lost by it. Whatever was answered or acknowledged is stored, and the rest comes again.
        """
        self.begin()
        guard = threading.Timer(self.seconds - 0.5, _end_the_process, (self.seconds,))
        guard.daemon = True
        guard.start()


def _end_the_process(seconds: float) -> None:
    log.error("killed_in_haste", seconds=seconds)
    os._exit(1)


class _Server(uvicorn.Server):
    """uvicorn, except that the other ways in are closed before the last requests are answered."""

    def __init__(self, config: uvicorn.Config, container: Container) -> None:
        super().__init__(config)
        self._container = container

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: uvicorn would raise them again, and end the process half-way."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nothing more, on every side. Nobody waits for what has not come yet."""
        self._container.freshness.stop()
        self._container.streams.stop()
        self._container.exports.stop()
        await _stop_taking_in(self._container)
        await super().shutdown(sockets)


async def _obey(orders: Orders, server: uvicorn.Server, stop: Stop) -> None:
    """Stop at the first signal; at the second, without waiting for the requests under way. A terminal that
    closes sends SIGHUP twice, from the system and from its shell, which is no reason to hurry."""
    while True:
        received = await anext(orders)
        log.info("stopping", signal=received.name)
        if received is signal.SIGHUP and server.should_exit:
            continue
        if not server.should_exit:
            stop.begin_for_good()
        server.force_exit = server.should_exit
        server.should_exit = True


async def _stop_taking_in(container: Container) -> None:
    """Begin no new firing, timer or message, and let nobody wait for a task. What is under way is finished.

    Repeated calls do no harm.
    """
    container.task_news.close()
    await container.parts.finish_clockwork()
    await container.transport.stop_taking_in()


async def _finish(container: Container) -> None:
    """Let the followers finish the current batch if they can, then publish nothing more."""
    with anyio.move_on_after(FOLLOWERS_DRAIN_SECONDS):
        await container.parts.finish()
    await container.transport.close()


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        CannotStart: the port is taken, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise CannotStart(
            f"cannot listen on {host}:{port} (server.host, server.port): {error.strerror}"
        ) from error
    listener.setblocking(False)
    return listener
