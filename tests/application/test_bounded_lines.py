"""Lines are read as they stand, and one without an end no further than lines of ours go."""

from io import BytesIO

import msgspec
import pytest

from application.bounded_lines import LONGEST_LINE, LineTooLong, lines_in
from domain.workflow.sizes import MOST_RESULT_BYTES


@pytest.mark.parametrize("text", [b"", b"\n", b"a\nbc\n\nd", b"12345\n12345\n", b"1234567890"])
def test_lines_are_those_of_the_file(text: bytes) -> None:
    assert list(lines_in(BytesIO(text), 10)) == list(BytesIO(text))


def test_the_first_that_is_too_long_is_named_after_those_before_it() -> None:
    lines = lines_in(BytesIO(b"123456789\n1234567890\n"), 10)
    assert next(lines) == b"123456789\n"
    with pytest.raises(LineTooLong, match="line 2 is longer than 10 bytes"):
        next(lines)


def test_the_longest_that_an_export_has_is_half_as_long_as_may_be() -> None:
    quotes = '"' * ((MOST_RESULT_BYTES - 2) // 2)
    shown = msgspec.json.encode(quotes)
    assert len(shown) == MOST_RESULT_BYTES
    line = msgspec.json.encode({"state": shown.decode(), "event": quotes})
    assert LONGEST_LINE // 2 - 100 < len(line) < LONGEST_LINE // 2 + 100
