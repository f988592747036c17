"""Lines of trouble are written at once, the others soon, and all in their order."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
import structlog

from config.log_lines import FLUSH_SECONDS, Lines
from config.logs import lost_lines

pytestmark = pytest.mark.anyio


class Raw:
    """What the system was given, of which it may take less at a time than there is."""

    def __init__(self) -> None:
        self.written = b""
        self.calls = 0
        self.takes = 1000
        self.is_full = False

    def write(self, data: bytes) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = data[: self.takes]
        self.written += taken
        self.calls += 1
        return len(taken)


@pytest.fixture
def raw() -> Raw:
    return Raw()


@pytest.fixture
def lines(raw: Raw) -> Lines:
    return Lines(raw)


async def test_lines_that_can_wait_go_out_together_and_soon(raw: Raw, lines: Lines) -> None:
    for number in range(5):
        lines.info(b"line %d" % number)
    assert raw.calls == 0
    await anyio.sleep(FLUSH_SECONDS * 3)
    assert raw.calls == 1
    assert raw.written == b"line 0\nline 1\nline 2\nline 3\nline 4\n"
    lines.info(b"line 5")
    await anyio.sleep(FLUSH_SECONDS * 3)
    assert raw.calls == 2


async def test_a_line_of_trouble_goes_out_at_once_after_those_before_it(raw: Raw, lines: Lines) -> None:
    lines.info(b"fine")
    lines.error(b"trouble")
    assert raw.written == b"fine\ntrouble\n"
    await anyio.sleep(FLUSH_SECONDS * 3)


def test_without_an_event_loop_a_line_goes_out_at_once(raw: Raw, lines: Lines) -> None:
    lines.info(b"starting")
    assert raw.written == b"starting\n"


async def test_a_line_that_is_taken_in_pieces_goes_out_whole(raw: Raw, lines: Lines) -> None:
    raw.takes = 3
    lines.error(b"trouble")
    assert raw.written == b"trouble\n"


async def test_lines_that_cannot_be_written_are_lost_and_whoever_logs_goes_on(raw: Raw, lines: Lines) -> None:
    raw.is_full = True
    lines.info(b"fine")
    await anyio.sleep(FLUSH_SECONDS * 3)
    lines.error(b"trouble")
    raw.is_full = False
    lines.error(b"there is room again")
    assert raw.written == b"there is room again\n"
    assert lines.lost == 2


@pytest.mark.parametrize(("room", "lost"), [(0, 3), (5, 3), (6, 2), (15, 1), (18, 0)])
async def test_a_line_of_which_a_part_was_written_is_lost(
    raw: Raw, lines: Lines, room: int, lost: int
) -> None:
    """A pipe that does not block takes what it has room for, and then nothing."""

    def write(data: bytes) -> int | None:
        taken = data[: room - len(raw.written)]
        raw.written += taken
        return len(taken) or None

    raw.write = write  # type: ignore[method-assign, assignment]
    for number in range(2):
        lines.info(b"line%d" % number)
    lines.error(b"line2")
    assert (len(raw.written), lines.lost) == (room, lost)


def test_the_process_counts_what_its_log_has_lost() -> None:
    before = structlog.get_config()
    try:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory())
        assert lost_lines() == 0
        structlog.configure(logger_factory=(lines := Lines(full := Raw())))
        full.is_full = True
        lines.error(b"trouble")
        assert lost_lines() == 1
    finally:
        structlog.configure(**before)


PROGRAM = """
import sys, anyio, structlog
from config.logs import configure_logs
from config.settings import load_settings
configure_logs(load_settings(environ={"LOG_FORMAT": sys.argv[1]}).logging, {})
log = structlog.get_logger()
async def main():
    log.info("one"); log.warning("two"); log.info("three")
    raise SystemExit(7)
anyio.run(main)
"""


def run(form: str, to: int) -> subprocess.CompletedProcess[bytes]:
    """A process that logs, and ends with 7 while a line waits."""
    return subprocess.run([sys.executable, "-c", PROGRAM, form], stderr=to, timeout=60)


def test_a_process_ends_as_it_would_though_its_log_cannot_be_written(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        assert run("json", full.fileno()).returncode == 7
    reads, writes = os.pipe()
    os.close(reads)
    try:
        assert run("console", writes).returncode == 7
    finally:
        os.close(writes)


def test_what_waits_when_a_process_ends_goes_out(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as log:
        assert run("json", log.fileno()).returncode == 7
    told = (tmp_path / "log").read_text().splitlines()
    assert [line.split('"event":"')[1].split('"')[0] for line in told] == ["one", "two", "three"]
