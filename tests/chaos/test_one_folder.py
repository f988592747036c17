"""Two processes on one data directory would fight over it: the second says so and ends."""

import pytest

from tests.chaos.conftest import Launch
from tests.chaos.decisions import in_thread, until_ready
from tests.harness import run_command
from tests.services import free_port

pytestmark = pytest.mark.anyio


async def test_a_second_process_on_the_same_folder_ends_with_one_clear_line(processes: Launch) -> None:
    first = processes()
    await in_thread(first.start)
    second = run_command("serve", DATA_DIR=str(first.data_dir), PORT=str(free_port()))
    assert second.returncode not in (0, None)
    (line,) = (second.stdout + second.stderr).strip().splitlines()
    assert str(first.data_dir) in line
    assert "in use by another process" in line
    await until_ready(first)


async def test_the_folder_is_free_again_after_a_kill(processes: Launch) -> None:
    first = processes()
    await in_thread(first.start)
    first.kill()
    await in_thread(first.start)
    await until_ready(first)
