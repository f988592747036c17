"""Two processes on one data directory would fight over it: the second says so and ends."""

from tests.chaos.conftest import Launch
from tests.harness import run_command
from tests.services import free_port


def test_a_second_process_on_the_same_folder_ends_with_one_clear_line(processes: Launch) -> None:
    first = processes()
    first.start()
    second = run_command("serve", DATA_DIR=str(first.data_dir), PORT=str(free_port()))
    assert second.returncode not in (0, None)
    (line,) = (second.stdout + second.stderr).strip().splitlines()
    assert str(first.data_dir) in line
    assert "in use by another process" in line
    with first.client() as client:
        assert client.get("/ready").status_code == 200


def test_the_folder_is_free_again_after_a_kill(processes: Launch) -> None:
    first = processes()
    first.start()
    first.kill()
    first.start()
    with first.client() as client:
        assert client.get("/ready").status_code == 200
