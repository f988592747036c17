"""A channel for a while, on which the broker may refuse something: that closes no other one."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from aio_pika.abc import AbstractChannel

_under_way: set["asyncio.Task[None]"] = set()
"""Nobody else may keep them: asyncio does not."""


@asynccontextmanager
async def opened(channel: AbstractChannel) -> AsyncIterator[AbstractChannel]:
    """Open a channel, and close it at the end of the block.

    Whoever is cancelled meanwhile is so at once, and leaves both to tasks of their own. aiormq gives a number
    free that it has broken off with, and the answer to that, or what comes next under the number, is for a
    channel which one of the two sides does not know: the connection ends, for all who use it.
    """
    opening = _begin(channel.initialize())
    try:
        await asyncio.shield(opening)
        yield channel
    finally:
        await asyncio.shield(_begin(_close_behind(opening, channel)))


async def _close_behind(opening: "asyncio.Task[None]", channel: AbstractChannel) -> None:
    await asyncio.wait([opening])
    if not opening.cancelled() and opening.exception() is None:
        await channel.close()


def _begin(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    task = asyncio.create_task(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return task
