"""One supervised connection to RabbitMQ: it starts when the broker does, and comes back with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

import aio_pika
import aiormq.connection
import anyio
import structlog
from aio_pika import RobustConnection
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import AMQPError
from faststream.exceptions import FastStreamException
from faststream.rabbit import Channel, RabbitBroker
from yarl import URL

from infrastructure.rabbit.channels import opened
from infrastructure.rabbit.liberal import be_liberal
from infrastructure.rabbit.observers import keep_observers
from projections.patience import Patience, Stopped

LONGEST_WAIT_SECONDS = 2.0
RECONNECT_SECONDS = 1.0
CONNECT_TIMEOUT_SECONDS = 5.0
HEARTBEAT_SECONDS = 10
"""Unless the URL has a ``heartbeat`` of its own. A broker is given up after three without a word."""

BROKER_ERRORS = (AMQPError, FastStreamException, ConnectionError, OSError, TimeoutError, RuntimeError)
"""What aio-pika and FastStream raise when the broker is away or says no."""

LOOK_SECONDS = 30.0
"""How often a connection that is kept is looked at: what others delete on the broker is not told."""

_LOOK_TIMEOUT_SECONDS = 10.0
_GIVE_UP_SECONDS = 1.0

log = structlog.get_logger(__name__)


class _Broker(RabbitBroker):
    """FastStream's, except that it knows the connection that is still being made.

    aio-pika makes it in a task of its own, which goes on for ever when nobody waits for it any more, and
    takes a cancellation for one more failure: the process could not end.
    """

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._begun: RobustConnection | None = None
        self._connection_kwargs["connection_class"] = self._begin

    def further_channel(self) -> AbstractChannel:
        """One that is not open yet. No other comes in its place, as with aio-pika's robust channels, which
        nobody would ever close.
        """
        if self._begun is None or self._begun.transport is None:
            raise ConnectionError("not connected")
        return aio_pika.Channel(self._begun)

    async def let_go(self) -> None:
        """End what :meth:`stop` does not know of, or had no time to end; the next connection is a new one.

        What becomes of this one is nobody's business any more. Twice is harmless.
        """
        self._connection, self._channel = None, None
        self.config.disconnect()
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.close_callbacks.clear()
            begun.reconnect_callbacks.clear()
            await _is_done_within(_GIVE_UP_SECONDS, begun.close())

    def _begin(self, url: URL, **options: Any) -> RobustConnection:
        self._begun = RobustConnection(url, **options)
        return self._begun


class RabbitConnection:
    """A FastStream broker with a life of its own.

    ``purpose`` names the connection in logs and in RabbitMQ's own lists. ``prefetch`` limits the
    unacknowledged messages; ``graceful_seconds`` is how long a stop waits for FastStream's subscribers.
    """

    def __init__(
        self,
        url: str,
        *,
        purpose: str,
        app_id: str,
        prefetch: int | None = None,
        graceful_seconds: float = 5.0,
    ) -> None:
        be_liberal()
        _answer_every_close()
        keep_observers()
        self.purpose = purpose
        self.broker = _Broker(
            url,
            app_id=app_id,
            client_properties=_client_properties(url, f"{app_id}:{purpose}"),
            timeout=CONNECT_TIMEOUT_SECONDS,
            reconnect_interval=RECONNECT_SECONDS,
            default_channel=Channel(prefetch_count=prefetch),
            graceful_timeout=graceful_seconds,
            on_close=[self._note_lost],
            on_reconnected=[self._note_back],
            logger=None,
            apply_types=False,
        )
        self._graceful_seconds = graceful_seconds
        self._hurried = False
        self._changed = anyio.Event()
        self.is_up = False
        """Whether the broker is connected and set up."""
        self._has_been_up = False
        self._to_look = anyio.Event()
        self._error: str | None = "not connected yet"
        self._patience = Patience(f"broker, to {purpose}", longest_wait_seconds=LONGEST_WAIT_SECONDS)

    @property
    def error(self) -> str | None:
        """Why it is not up."""
        return None if self.is_up else self._error

    async def connect(self, set_up: Callable[[RabbitBroker], Awaitable[None]]) -> None:
        """Connect and set up, again and again until it succeeds or :meth:`close` is called.

        What is under way is broken off by that; aiormq may raise a bare ``Exception`` for it. Once it is up,
        aio-pika restores the connection, and what was declared on it, unless it is kept.
        """
        with suppress(Stopped):
            await self._patience.until_done(
                partial(self._connect_once, set_up),
                may_pass=lambda error, _: self._patience.is_stopped or isinstance(error, BROKER_ERRORS),
                on_failure=self._note_failure,
            )

    async def keep(
        self,
        set_up: Callable[[RabbitBroker], Awaitable[None]],
        look: Callable[[], Awaitable[None]],
    ) -> None:
        """Connect and set up, and do so anew when the connection is lost or ``look`` raises.

        Until :meth:`close`. The broker tells nobody that a binding or an exchange was deleted: ``look`` is to
        declare again what should be there, and to raise where something is wrong. That is done now and then,
        and where :meth:`look_again` asks for it.
        """
        while not self._patience.is_stopped:
            await self.connect(set_up)
            while self.is_up and not self._patience.is_stopped:
                with anyio.move_on_after(LOOK_SECONDS):
                    await self._to_look.wait()
                self._to_look = anyio.Event()
                if self.is_up:
                    await self._look(look)
            await self.broker.let_go()

    def look_again(self) -> None:
        """Look now whether all is there that was declared: something speaks against it."""
        self._to_look.set()

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """A channel for a while, on which the broker may refuse something."""
        async with opened(self.broker.further_channel()) as channel:
            yield channel

    async def until_up(self, seconds: float) -> bool:
        """Wait for the connection, and tell whether it came within ``seconds``."""
        if self.is_up:
            return True
        with anyio.move_on_after(seconds):
            while not self.is_up and not self._hurried:
                await self._changed.wait()
        return self.is_up

    def hurry(self) -> None:
        """Let nobody wait for a connection any more: the service is about to stop."""
        self._hurried = True
        self._tell()

    async def close(self) -> None:
        """Stop FastStream's subscribers and disconnect. Twice is harmless.

        A broker that does not answer any more is not waited for.
        """
        if self._patience.is_stopped:
            return
        self._patience.stop()
        self.look_again()
        self.is_up = False
        self.hurry()
        if not await _is_done_within(self._graceful_seconds + _GIVE_UP_SECONDS, self.broker.stop()):
            log.warning("broker_left_in_haste", purpose=self.purpose)
        await self.broker.let_go()

    async def _connect_once(self, set_up: Callable[[RabbitBroker], Awaitable[None]]) -> None:
        try:
            with lost_connection_raised():
                await self.broker.connect()
                await set_up(self.broker)
        except BaseException:
            await _is_done_within(_GIVE_UP_SECONDS, self.broker.stop())
            await self.broker.let_go()
            raise
        self._note_up("broker_back" if self._has_been_up else "broker_connected")

    async def _look(self, look: Callable[[], Awaitable[None]]) -> None:
        """See whether all is there. Of a broker that takes its time, as where an alarm blocks publishers,
        nothing is known.
        """
        looked = asyncio.ensure_future(look())
        if not await _is_done_within(_LOOK_TIMEOUT_SECONDS, _ended(looked)):
            log.info("broker_not_looked_at", purpose=self.purpose)
        elif self.is_up and not self._patience.is_stopped and (error := _failure_of(looked)) is not None:
            self._note_down(f"{type(error).__name__}: {error}")

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def _note_failure(self, error: Exception) -> None:
        self._error = f"{type(error).__name__}: {error}"

    def _note_lost(self, _connection: object, error: BaseException | None = None) -> None:
        if self._patience.is_stopped or not self.is_up:
            return
        self._note_down(f"connection lost: {str(error or '') or 'no sign of life from the broker'}")

    def _note_back(self, _connection: object) -> None:
        self._note_up("broker_back")

    def _note_down(self, error: str) -> None:
        self.is_up = False
        self._error = error
        self._to_look.set()
        log.warning("broker_lost", purpose=self.purpose, error=error)

    def _note_up(self, told_as: str) -> None:
        self._error = None
        self._has_been_up = True
        self.is_up = True
        self._tell()
        log.info(told_as, purpose=self.purpose)


@contextmanager
def lost_connection_raised() -> Iterator[None]:
    """Raise ConnectionError where aiormq cancels what waits on a connection that it gives up.

    Such a cancellation is not ours, and nobody expects it: a task that it reaches just ends, as if its
    work were done.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError("the connection was given up") from error


async def _is_done_within(seconds: float, work: Coroutine[Any, Any, object]) -> bool:
    """Whether some work has succeeded in time, whoever is cancelled meanwhile; else it is given up.

    It has a task of its own. aiormq makes of a cancellation another one, which no time limit takes for its
    own: it would end whoever waits, as if somebody had cancelled him.
    """
    task = asyncio.create_task(work)
    with anyio.CancelScope(shield=True):
        await asyncio.wait({task}, timeout=seconds)
        if task.cancel():
            await asyncio.wait({task}, timeout=_GIVE_UP_SECONDS)
    return task.done() and not task.cancelled() and task.exception() is None


async def _ended(work: asyncio.Future[None]) -> None:
    """Wait for its end, whatever that is; who gives up the waiting gives up the work."""
    try:
        await asyncio.wait({work})
    finally:
        work.cancel()


def _failure_of(work: asyncio.Future[None]) -> BaseException | None:
    """Why it has failed; aiormq cancels what waits on a connection that it gives up."""
    return ConnectionError("the connection was given up") if work.cancelled() else work.exception()


def _answer_every_close() -> None:
    """Let aiormq queue as many frames as there are, which who waits for an answer bounds.

    With ten of them ahead it forgets to tell the broker that it has seen a channel's end. That keeps the
    channel, and ends the connection when its number is used again. Once or many times is the same.
    """
    aiormq.connection.Connection.FRAME_BUFFER_SIZE = 0


def _client_properties(url: str, connection_name: str) -> dict[str, str]:
    properties = {"name": connection_name}
    if "heartbeat" not in URL(url).query:
        properties["heartbeat"] = str(HEARTBEAT_SECONDS)
    return properties
