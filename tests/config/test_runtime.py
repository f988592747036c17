"""The service's life: it can be told to stop at any moment, and what it stops is asked all at once."""

import os
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from application.leadership import Leadership
from application.store_clock import StoreClock
from config import runtime
from config.container import build
from config.parts import Parts
from config.runtime import bind, run
from config.signals import listening
from domain.lease import Lease, Unrivalled
from infrastructure.memory.leases import LocalLeases
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from interfaces.scheduling.watch import CronWatch
from tests.harness import settings_in
from tests.services import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _outlive_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time to stop runs out for the process that the tests run in."""
    monkeypatch.setattr(runtime, "_end_the_process", lambda seconds: None)


async def test_a_signal_ends_the_start_while_no_part_can_be_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of all three kinds are begun meanwhile: none waits for another's."""
    of_documents, of_reactions, of_clockwork = anyio.Event(), anyio.Event(), anyio.Event()

    async def hang(_: object, follower: str, partitions: Sequence[str], lease: Lease) -> dict[str, str]:
        if isinstance(lease, Unrivalled):
            return {}
        (of_documents if follower == "hitl_approvals" else of_reactions).set()
        await anyio.sleep_forever()
        return {}

    async def hang_too(*_: object) -> None:
        of_clockwork.set()
        await anyio.sleep_forever()

    monkeypatch.setattr(SqliteCheckpoints, "load_all", hang)
    monkeypatch.setattr(CronWatch, "take_over", hang_too)
    async with AsyncExitStack() as stack:
        orders = stack.enter_context(listening())
        container = await build(settings_in(tmp_path), stack)
        listener = bind("127.0.0.1", 0)
        stack.callback(listener.close)
        with capture_logs() as logs, anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run, container, listener, orders)
                for begun in (of_documents, of_reactions, of_clockwork):
                    await begun.wait()
                os.kill(os.getpid(), signal.SIGTERM)
    assert logs == [], "no haste"


class Doing:
    """A part that needs to be done with what another waits for before it can end."""

    failing_seconds = 0.0

    def __init__(self, name: str, until: anyio.Event) -> None:
        self.name = name
        self.is_asked = anyio.Event()
        self._until = until

    async def take_over(self, lease: Lease) -> None:
        """Nothing."""

    async def run(self, lease: Lease) -> None:
        await self.is_asked.wait()
        await self._until.wait()

    def stop(self) -> None:
        self.is_asked.set()


async def test_a_part_that_takes_its_time_to_stop_keeps_no_other_from_being_asked() -> None:
    outbox = Doing("outbox", anyio.Event())
    projection = Doing("projection", outbox.is_asked)
    outbox._until.set()
    leaderships = [Leadership(LocalLeases(), "me", parts) for parts in ([projection], [outbox], [])]
    parts = Parts([], [], None, None, StoreClock(), *leaderships)
    async with anyio.create_task_group() as tasks:
        for leadership in leaderships:
            tasks.start_soon(leadership.run)
        await parts.taken_over()
        with anyio.fail_after(60):
            await parts.finish()


async def test_a_service_that_crashes_leaves_in_its_log_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise LookupError("nobody thought of that")

    monkeypatch.setattr(runtime, "build", crash)
    with capture_logs() as logs, pytest.raises(LookupError):
        await runtime.serve(settings_in(tmp_path, PORT=str(free_port())))
    (line,) = [each for each in logs if each["event"] == "crashed"]
    assert (line["log_level"], line["exc_info"]) == ("critical", True)
