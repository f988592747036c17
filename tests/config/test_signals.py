"""An instance may be told to stop at any moment of its start."""

import os
import signal

import anyio
import pytest

from config.signals import listening, unless_told_to_stop

pytestmark = pytest.mark.anyio


async def test_work_that_nobody_ends_comes_to_its_result_and_the_next_signal_is_kept() -> None:
    with listening() as orders:

        async def work() -> str:
            return "done"

        assert await unless_told_to_stop(orders, work()) == "done"
        os.kill(os.getpid(), signal.SIGTERM)
        with anyio.fail_after(5):
            assert await anext(orders) is signal.SIGTERM


async def test_a_signal_ends_work_that_waits() -> None:
    with listening() as orders, anyio.fail_after(5):

        async def work() -> str:
            os.kill(os.getpid(), signal.SIGTERM)
            await anyio.sleep_forever()
            return "never"

        assert await unless_told_to_stop(orders, work()) is None


async def test_a_signal_that_came_with_the_result_counts() -> None:
    with listening() as orders:

        async def work() -> str:
            os.kill(os.getpid(), signal.SIGTERM)
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.1)
            return "done"

        assert await unless_told_to_stop(orders, work()) is None
