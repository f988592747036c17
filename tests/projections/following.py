"""A follower of the fakes, and it at work."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from infrastructure.memory.checkpoints import MemoryCheckpoints
from projections.follower import Follower
from tests.builders import LEASE, SettableClock
from tests.projections.fakes import PartitionedLog, Remembering

PATIENCE_SECONDS = 30.0
"""On a machine that has much else to do, what takes two seconds of waits took more than five."""


class Setting:
    """A handler and its follower on the fixtures' log."""

    def __init__(
        self, log: PartitionedLog, positions: MemoryCheckpoints, clock: SettableClock, poll: float = 60
    ) -> None:
        self.handler = Remembering()
        self.follower = Follower(self.handler, log, positions, now=clock.now, poll_seconds=poll, batch_size=3)


@asynccontextmanager
async def running(follower: Follower) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        group.start_soon(follower.run, LEASE)
        yield
        follower.stop()
        with anyio.fail_after(PATIENCE_SECONDS):
            await until(lambda: follower.status.state == "stopped")


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(PATIENCE_SECONDS):
        while not condition():
            await anyio.sleep(0.001)
