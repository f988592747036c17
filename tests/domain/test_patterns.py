"""Patterns: what takes long to parse is parsed in a thread, and does not fill the memory."""

import threading
import time

import pytest

from domain.json_schema import quick_faults, value_faults
from domain.patterns import BadPattern, Patterns

LARGE = r"^[\w-]{1,64}$"


def large(number: int) -> str:
    """A pattern that takes a twentieth of a second, and 5 MB."""
    return rf"^[\w-]{{1,{64 + number}}}$"


def test_a_pattern_that_was_parsed_is_at_hand() -> None:
    patterns = Patterns()
    assert patterns.at_hand("^a+$") is None
    assert patterns.parsed("^a+$") is patterns.at_hand("^a+$") is not None
    assert patterns.parsed(LARGE) is patterns.at_hand(LARGE) is not None
    with pytest.raises(BadPattern):
        patterns.parsed("(")


def test_large_ones_are_kept_so_far_only_and_push_out_no_small_one() -> None:
    patterns = Patterns()
    patterns.parsed("^the first of a process takes longer$")
    patterns.parsed("^a+$")
    for number in range(80):
        patterns.parsed(large(number))
    kept = [number for number in range(80) if patterns.at_hand(large(number)) is not None]
    assert 1 <= len(kept) < 80
    assert kept[-1] == 79
    assert patterns.at_hand("^a+$") is not None


def test_several_threads_may_use_them() -> None:
    patterns = Patterns()
    failures: list[BaseException] = []

    def use() -> None:
        try:
            for number in range(3_000):
                patterns.parsed(f"^a{{{number % 1500}}}$")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("keyword", ["pattern", "patternProperties", "additionalProperties"])
def test_a_quick_check_parses_no_pattern(keyword: str) -> None:
    ones = [large(number) + keyword for number in range(100, 140)]
    schema: dict[str, object] = {"properties": {f"p{at}": {"pattern": one} for at, one in enumerate(ones)}}
    if keyword != "pattern":
        schema = {"patternProperties": dict.fromkeys(ones, True), "additionalProperties": False}
    value = {f"p{at}": "x" for at in range(40)}
    began = time.process_time()
    assert quick_faults(schema, value, "input") is None
    assert time.process_time() - began < 0.1
    assert len(value_faults(schema, value, "input")) == 40


def test_what_is_at_hand_is_checked_at_once() -> None:
    schema = {"properties": {"name": {"pattern": "^[a-z]+$"}}}
    value_faults(schema, {"name": "x"}, "input")
    assert quick_faults(schema, {"name": "x"}, "input") == []
    (fault,) = quick_faults(schema, {"name": "X"}, "input") or []
    assert tuple(fault) == ("input.name", "does not match ^[a-z]+$")
