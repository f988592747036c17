"""Expressions: what they find is plain JSON, or they do not fit."""

import pytest

from domain.expressions import BadExpression, found, holds


@pytest.mark.parametrize(
    "expression", ["&foo", '`"\\ud800"`', "ceil(to_number('1e999'))", "length(`5`)", "a["]
)
def test_what_is_no_json_or_does_not_fit_is_refused(expression: str) -> None:
    with pytest.raises(BadExpression):
        found(expression, {"foo": 1})


def test_what_is_not_there_is_nothing() -> None:
    assert found("a.b[0].c", {"a": {}}) is None
    assert not holds("a.b", {"a": {}})
