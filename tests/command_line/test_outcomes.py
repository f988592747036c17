"""How commands end: a check's exit code 1 says that it found something, and never that it crashed."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from interfaces.outcome import CANNOT_TELL, FAILED, FOUND, INTERRUPTED, Refused, carrying_out
from tests.harness import clean_environment, run_command, service, settings_in
from tests.services import free_port

CHECKS = [["audit", "verify"], ["audit", "verify", "--json"], ["rebuild", "--verify"]]
HINT = "; set LOG_LEVEL=debug to see where"


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A store that a service has served."""
    folder = tmp_path_factory.mktemp("store")

    async def begin() -> None:
        async with service(settings_in(folder)):
            pass

    anyio.run(begin)
    return {"DATA_DIR": str(folder / "data"), "LOG_LEVEL": "error"}


def run_under(
    limits: str, arguments: list[str], environ: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    """A command from a shell that has said something before."""
    return subprocess.run(
        ["bash", "-c", f'{limits} exec "$@"', "bash", sys.executable, "-m", "config.main", *arguments],
        env=clean_environment() | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return run_command(*arguments, timeout=60, **environ)


@pytest.mark.parametrize("arguments", CHECKS, ids=" ".join)
def test_a_check_whose_output_cannot_be_written_has_no_verdict(
    arguments: list[str], environ: dict[str, str]
) -> None:
    ended = run_under("exec >/dev/full;", arguments, environ)
    assert ended.returncode == CANNOT_TELL
    (line,) = [each for each in ended.stderr.splitlines() if not each.startswith("folding: ")]
    assert line == f"stopped by an unexpected error: OSError: [Errno 28] No space left on device{HINT}"


@pytest.mark.parametrize("arguments", CHECKS, ids=" ".join)
def test_a_check_that_can_tell_nobody_has_no_verdict(arguments: list[str], environ: dict[str, str]) -> None:
    assert run_under("exec >/dev/full 2>/dev/full;", arguments, environ).returncode == CANNOT_TELL


@pytest.mark.parametrize("arguments", CHECKS, ids=" ".join)
def test_a_check_that_may_open_too_few_files_has_no_verdict(
    arguments: list[str], environ: dict[str, str]
) -> None:
    ended = run_under("ulimit -n 12;", arguments, environ)
    assert ended.returncode == CANNOT_TELL
    (line,) = ended.stderr.splitlines()
    assert "Too many open files" in line


def test_other_commands_tell_it_in_a_line_too(environ: dict[str, str]) -> None:
    ended = run_under("exec >/dev/full;", ["config"], environ)
    assert (ended.returncode, ended.stderr.count("\n")) == (FAILED, 1)
    assert "No space left on device" in ended.stderr


def test_a_reader_that_has_seen_enough_is_no_unexpected_error(environ: dict[str, str]) -> None:
    ended = run_under("exec > >(exec true); wait $!;", ["projections"], environ)
    said = "standard output was closed before everything was written\n"
    assert (ended.returncode, ended.stderr) == (FAILED, said)


def test_who_asks_is_told_where_it_comes_from(environ: dict[str, str]) -> None:
    ended = run_under("exec >/dev/full;", ["audit", "verify"], environ | {"LOG_LEVEL": "debug"})
    assert ended.returncode == CANNOT_TELL
    assert "Traceback (most recent call last)" in ended.stderr
    assert "audit_report.py" in ended.stderr


@pytest.mark.parametrize("arguments", [["audit", "verify"], ["rebuild", "--verify"]], ids=" ".join)
@pytest.mark.parametrize(
    "wrong",
    [
        {"PORT": "x"},
        {"DATA_DIR": "/dev/null/data"},
        {
            "EVENT_STORE_URL": f"postgresql://127.0.0.1:{free_port()}/none",
            "STORE_STARTUP_TIMEOUT_SECONDS": "1",
        },
    ],
    ids=["settings", "no store", "store away"],
)
def test_what_stands_in_the_way_of_a_check_is_no_finding(
    arguments: list[str], wrong: dict[str, str], environ: dict[str, str]
) -> None:
    ended = run(*arguments, **environ | wrong)
    assert (ended.returncode, ended.stdout) == (CANNOT_TELL, "")
    assert "Traceback" not in ended.stderr


def test_so_is_a_projection_that_there_is_not(environ: dict[str, str]) -> None:
    ended = run("rebuild", "--verify", "nobodys", **environ)
    assert ended.returncode == CANNOT_TELL
    assert "unknown projection nobodys" in ended.stderr


def test_a_comparison_ends_with_0_where_all_is_equal_and_with_1_where_a_document_differs(
    environ: dict[str, str],
) -> None:
    assert run("rebuild", "--verify", **environ).returncode == 0
    with closing(sqlite3.connect(Path(environ["DATA_DIR"]) / "documents.db")) as file, file:
        file.execute("INSERT INTO workflow_tasks (tenant, id, version, body) VALUES ('t', 'x', 3, '{}')")
    try:
        differs = run("rebuild", "--verify", **environ)
    finally:
        with closing(sqlite3.connect(Path(environ["DATA_DIR"]) / "documents.db")) as file, file:
            file.execute("DELETE FROM workflow_tasks")
    assert differs.returncode == FOUND, differs.stderr
    assert "workflow_tasks t x is there at version 3; the log makes none" in differs.stdout


def raising(error: BaseException) -> Callable[[], bool]:
    def action() -> bool:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "MemoryError"),
        (RuntimeError("one line\nand another"), "RuntimeError: one line"),
        (ExceptionGroup("several", [ValueError("first"), ValueError("second")]), "ValueError: first"),
    ],
    ids=["no words", "two lines", "several at once"],
)
def test_whatever_it_is_it_is_one_line_and_the_code_of_no_verdict(
    error: Exception, said: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interfaces.outcome.logging.disable", lambda: None)
    with pytest.raises(SystemExit) as ended:
        carrying_out(with_traceback=False)(raising(error), failed=CANNOT_TELL)
    assert ended.value.code == CANNOT_TELL
    told = capfd.readouterr().err
    assert said in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"), [(Refused("away"), CANNOT_TELL), (KeyboardInterrupt(), INTERRUPTED)]
)
def test_what_is_refused_or_interrupted_is_no_finding_either(error: BaseException, code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        carrying_out(with_traceback=False)(raising(error), failed=CANNOT_TELL)
    assert ended.value.code == code
