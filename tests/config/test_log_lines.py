"""Lines of trouble are written at once, the others soon, and all in their order."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog

from config.log_lines import FLUSH_SECONDS, MOST_WAITING_BYTES, Lines
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
    """A disk takes what it has room for, and then nothing."""

    def write(data: bytes) -> int:
        taken = data[: room - len(raw.written)]
        raw.written += taken
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(taken)

    raw.write = write  # type: ignore[method-assign]
    for number in range(2):
        lines.info(b"line%d" % number)
    lines.error(b"line2")
    assert (len(raw.written), lines.lost) == (room, lost)


class Pipe(Raw):
    """One that does not make its writer wait."""

    room = 0

    def write(self, data: bytes) -> int | None:  # type: ignore[override]
        taken = data[: self.room]
        self.room -= len(taken)
        self.written += taken
        return len(taken) or None


async def test_lines_that_a_pipe_has_no_room_for_wait_until_it_has() -> None:
    lines = Lines(pipe := Pipe())
    pipe.room = 9
    lines.info(b"line 0")
    lines.error(b"line 1")
    assert pipe.written == b"line 0\nli"
    pipe.room = 1000
    await anyio.sleep(FLUSH_SECONDS * 3)
    assert (pipe.written, lines.lost) == (b"line 0\nline 1\n", 0)


async def test_a_pipe_that_nobody_reads_costs_lines_and_no_memory() -> None:
    lines = Lines(pipe := Pipe())
    line = b"x" * 1023
    for _ in range(MOST_WAITING_BYTES // 1024 + 10):
        lines.error(line)
    assert lines.lost == 10
    pipe.room = 10 * MOST_WAITING_BYTES
    lines.error(b"read again")
    assert pipe.written == (line + b"\n") * (MOST_WAITING_BYTES // 1024) + b"read again\n"


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


TALKS_ON = """
import os, sys, time, logging, structlog
from config.logs import configure_logs, lost_lines
from config.settings import load_settings
configure_logs(load_settings(environ={"LOG_FORMAT": "json"}).logging, {})
while not lost_lines():
    structlog.get_logger().warning("x" * 10_000)
    logging.getLogger("aiormq").warning("y" * 10_000)
print(lost_lines())
"""


@pytest.mark.parametrize("of", [os.pipe, socket.socketpair], ids=["pipe", "socket"])
def test_who_logs_to_a_reader_that_is_stuck_goes_on(of: Callable[[], tuple[Any, Any]]) -> None:
    """It is nobody's own: the test's end of it has to stay as it is, one that waits."""
    reads, writes = of()
    number = writes if isinstance(writes, int) else writes.fileno()
    try:
        ran = subprocess.run(
            [sys.executable, "-c", TALKS_ON], stderr=number, stdout=subprocess.PIPE, timeout=60
        )
        assert os.get_blocking(number)
    finally:
        for each in (reads, writes):
            os.close(each) if isinstance(each, int) else each.close()
    assert ran.stdout in (b"1\n", b"2\n")


def test_what_waits_when_a_process_ends_goes_out(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as log:
        assert run("json", log.fileno()).returncode == 7
    told = (tmp_path / "log").read_text().splitlines()
    assert [line.split('"event":"')[1].split('"')[0] for line in told] == ["one", "two", "three"]
