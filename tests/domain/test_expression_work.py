"""What functions and comparisons read counts as work: nobody holds up the process by a long list."""

import time

import pytest

from domain.expressions import BadExpression, found

LONG = {"l": [1] * 300_000, "m": [1] * 300_000, "objects": [{"a": 1} for _ in range(100_000)]}


@pytest.mark.parametrize(
    "expression",
    [
        f"l|[{','.join(['sum(@)'] * 250)}]",
        f"l|[{','.join(['max(@)'] * 250)}]",
        f"[{','.join(['contains(l, `2`)'] * 100)}]",
        f"[{','.join(['contains(l, `true`)'] * 250)}]",
        "[" + ",".join(['contains(objects, `{"a": true}`)'] * 250) + "]",
        f"[{','.join(['l == m'] * 250)}]",
        f"[{','.join(['to_string(l)'] * 100)}]",
    ],
)
def test_a_long_list_is_not_read_again_and_again(expression: str) -> None:
    began = time.process_time()
    with pytest.raises(BadExpression, match="too expensive"):
        found(expression, LONG)
    assert time.process_time() - began < 3


def test_it_is_read_once() -> None:
    assert found("sum(l)", LONG) == 300_000
    assert found("l == m", LONG) is True
