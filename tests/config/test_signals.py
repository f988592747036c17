"""A process may be told to stop at any moment of its start, and of its work."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from config.signals import listening, unless_told_to_stop
from tests.harness import ServiceProcess, clean_environment, ended

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


@contextmanager
def inherited(handler: signal.Handlers) -> Iterator[None]:
    """What processes do at SIGHUP that begin meanwhile."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_closes_stops_the_service_as_any_order_does(tmp_path: Path) -> None:
    """The system says so, and then the shell."""
    process = ServiceProcess(tmp_path)
    process.begins_anew = True
    with ended(process), inherited(signal.SIG_DFL):
        process.start()
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)
        assert process.wait() == 0
        told = [json.loads(line) for line in process.log.splitlines()]
    assert next(each for each in told if each["event"] == "stopping")["signal"] == "SIGHUP"
    assert told[-1]["event"] == "stopped"


def test_a_service_that_is_to_survive_its_terminal_does(tmp_path: Path) -> None:
    process = ServiceProcess(tmp_path)
    process.begins_anew = True
    with ended(process), inherited(signal.SIG_IGN):
        process.start()
        process.send_signal(signal.SIGHUP)
        with process.client() as client:
            assert client.get("/health").status_code == 200
        assert process.terminate() == 0
        assert "SIGHUP" not in process.log


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_waits_is_ended_by_a_signal_that_process_1_would_not_hear(
    order: signal.Signals,
) -> None:
    with (
        inherited(signal.SIG_DFL),
        subprocess.Popen(
            [sys.executable, "-m", "config.main", "migrate"],
            env={**clean_environment(), "EVENT_STORE_URL": "postgresql://owner@127.0.0.1:1/events"},
            stderr=subprocess.PIPE,
            text=True,
        ) as running,
    ):
        assert running.stderr is not None
        assert "store_away" in running.stderr.readline()
        running.send_signal(order)
        assert running.wait(20) == 128 + order
