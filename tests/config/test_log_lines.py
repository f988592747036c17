"""Lines of trouble are written at once, the others soon, and all in their order."""

import io

import anyio
import pytest

from config.log_lines import FLUSH_SECONDS, Lines

pytestmark = pytest.mark.anyio


class Raw(io.RawIOBase):
    """What the system was given."""

    def __init__(self) -> None:
        self.written = b""
        self.calls = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        taken = bytes(data)  # type: ignore[call-overload]
        self.written += taken
        self.calls += 1
        return len(taken)


@pytest.fixture
def raw() -> Raw:
    return Raw()


@pytest.fixture
def lines(raw: Raw) -> Lines:
    return Lines(io.BufferedWriter(raw))


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
