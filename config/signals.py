"""What tells a process to stop, from its first moment on.

In a container it is process 1, for which the kernel drops each signal that nobody listens for. So an instance
that is told to stop while it waits for its stores would go on to serve, and to take leases. Until the service
listens, and in every command that does not, SIGTERM ends the process as Ctrl-C does, including its cleanup.
So does SIGHUP, the end of the terminal in which it was started, unless that is to be survived (``nohup``).
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractContextManager
from types import FrameType
from typing import NoReturn, TypeVar

import anyio
import structlog

T = TypeVar("T")

log = structlog.get_logger(__name__)

Orders = AsyncIterator[signal.Signals]
"""The signals that came and come. Each is taken once."""


def end_when_told() -> None:
    """Let SIGTERM and SIGHUP end the process from now on, with the exit code that a shell gives to that."""
    for each in (signal.SIGTERM, *_hanging_up()):
        signal.signal(each, _end)


def _end(received: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + received)


def listening() -> AbstractContextManager[Orders]:
    """Keep SIGTERM, SIGINT and SIGHUP from now on, for whoever asks for them."""
    return anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, *_hanging_up())


def _hanging_up() -> tuple[signal.Signals, ...]:
    """Return SIGHUP, unless whoever started the process had it ignored."""
    return () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)


async def unless_told_to_stop(orders: Orders, work: Awaitable[T]) -> T | None:
    """Return the result of some work, or None if it was told to stop before, which cancels the work."""
    with anyio.CancelScope() as scope:

        async def stop() -> None:
            log.info("stopping", signal=(await anext(orders)).name)
            scope.cancel()

        stopping = asyncio.create_task(stop())
        try:
            done = await work
        finally:
            stopping.cancel()
    if not scope.cancel_called:
        return done
    log.info("stopped")
    return None
