"""A copy that is killed leaves nothing, or all of it; and the next one goes through."""

import random
import time
from pathlib import Path

import pytest

from tests.harness import run_command, run_module, start_command
from tests.moved_logs import NOTHING, Held, fill, held

pytestmark = pytest.mark.postgres


@pytest.fixture(params=["postgresql", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the log is to go."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_store_url"))
    return f"sqlite:///{tmp_path / 'to' / 'events.db'}"


def made(folder: Path, **size: int) -> tuple[str, Held]:
    """A log in SQLite, and what it holds."""
    source = f"sqlite:///{folder / 'events.db'}"
    return source, fill(source, **size)


def killed(moment: str, source: str, target: str) -> None:
    """A copy that ends at a moment."""
    ended = run_module("tests.chaos.killed_copy", moment, "--from", source, "--to", target)
    assert ended.returncode == -9, ended.stderr


def copied(source: str, target: str) -> str:
    """The last line of a copy that goes through."""
    ended = run_command("copy-log", "--from", source, "--to", target)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()[-1]


@pytest.mark.parametrize("moment", ["copying", "verifying", "finished"])
def test_a_kill_before_the_commit_leaves_nothing(tmp_path: Path, target: str, moment: str) -> None:
    source, before = made(tmp_path)
    killed(moment, source, target)
    assert held(target) == NOTHING
    assert copied(source, target) == "copied and verified"
    assert held(target) == before


def test_a_kill_after_the_commit_leaves_all_and_the_next_copy_says_so(tmp_path: Path, target: str) -> None:
    source, before = made(tmp_path)
    killed("committed", source, target)
    assert held(target) == before
    assert copied(source, target) == "verified: the same log was there already"


def test_a_kill_between_the_two_files_of_sqlite_leaves_no_event(tmp_path: Path) -> None:
    """Positions without a log mean nothing; a log without positions would be published again."""
    source, before = made(tmp_path)
    target = f"sqlite:///{tmp_path / 'to' / 'events.db'}"
    killed("between the commits", source, target)
    assert held(target) == Held([], before.positions, before.timers, before.step_calls, before.anchors)
    assert copied(source, target) == "copied and verified"
    assert held(target) == before


def test_a_kill_at_any_time_leaves_all_or_nothing(tmp_path: Path, target: str) -> None:
    source, before = made(tmp_path, batches=10, size=2000)
    dice = random.Random(7)
    for _ in range(4):
        with start_command("copy-log", "--from", source, "--to", target) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(dice.uniform(0, 0.8))
            process.kill()
            process.wait()
        assert held(target) in (NOTHING, before)
    copied(source, target)
    assert held(target) == before
