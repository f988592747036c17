"""A process may be told to stop at any moment of its start, and of its work."""

import os
import signal
import subprocess
import sys

import anyio
import pytest

from config.signals import listening, unless_told_to_stop
from tests.harness import clean_environment

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


def test_a_command_that_waits_is_ended_by_a_signal_that_process_1_would_not_hear() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "config.main", "migrate"],
        env={**clean_environment(), "EVENT_STORE_URL": "postgresql://owner@127.0.0.1:1/events"},
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        assert "store_away" in running.stderr.readline()
        running.terminate()
        assert running.wait(20) == 128 + signal.SIGTERM
