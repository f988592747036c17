"""Expressions that are read, and can only fail."""

import pytest

from domain.expression_rules import expression_faults
from domain.expressions import BadExpression, found
from domain.scopes import Scope, Sort

FUNCTIONS = (
    "abs, avg, ceil, contains, ends_with, floor, join, keys, length, map, max, max_by, merge, min, min_by, "
    "not_null, reverse, sort, sort_by, starts_with, sum, to_array, to_number, to_string, type, values"
)

CONTEXT = {"list": [{"a": 1}], "n": 1, "text": "t"}
ANYWHERE = Scope(dict.fromkeys((*CONTEXT, "a", "x", "y", "size"), Sort.ANYTHING))

FAILING = {
    "size(list)": f"there is no function size; the functions are {FUNCTIONS}",
    "[len(list), lower(text), len(text)]": f"there is no function len, lower; the functions are {FUNCTIONS}",
    "list[*].size(@)": f"there is no function size; the functions are {FUNCTIONS}",
    "list[?size(@) > `1`]": f"there is no function size; the functions are {FUNCTIONS}",
    "{a: size(list)}": f"there is no function size; the functions are {FUNCTIONS}",
    "sort_by(list, &size(@))": f"there is no function size; the functions are {FUNCTIONS}",
    "!size(list)": f"there is no function size; the functions are {FUNCTIONS}",
    "|".join(["@"] * 500) + "|size(list)": f"there is no function size; the functions are {FUNCTIONS}",
    "join(list)": "join takes 2 arguments, but is given 1",
    "length(list, n)": "length takes 1 argument, but is given 2",
    "not_null()": "not_null takes at least 1 argument, but is given 0",
    "sort_by(list, a)": "argument 2 of sort_by must be an expression, with & before it",
    "length(&a)": "argument 1 of length must be a value, without &",
    "to_string(&a)": "argument 1 of to_string must be a value, without &",
    "`NaN`": "a literal is not a number: NaN",
    '{"a": `[1, {"b": [-Infinity]}]`}': "a literal is not a number: -Infinity",
    f"`1{'0' * 308}5`": f"a literal is too large a number: 1{'0' * 266}…",
    "list[::0]": "has a slice with a step of 0",
    "[join(n), list[0:1:0].a]": "join takes 2 arguments, but is given 1; has a slice with a step of 0",
    "a ==": 'is not a valid JMESPath expression: Incomplete expression: "a =="',
}


@pytest.mark.parametrize("expression", FAILING)
def test_what_can_only_fail_is_told_with_all_that_it_fails_by(expression: str) -> None:
    assert list(expression_faults("f", expression, ANYWHERE)) == [("f", FAILING[expression])]
    with pytest.raises(BadExpression):
        found(expression, CONTEXT)


@pytest.mark.parametrize("expression", ["`9007199254740992`", "{a: n || [n, `[1e300]`]}", "n | `-1e16`"])
def test_what_a_request_may_not_hold_is_told_where_it_is_found_as_it_stands(expression: str) -> None:
    ((_, message),) = expression_faults("f", expression, ANYWHERE)
    assert message.startswith("a literal is too large a number: it must be within ±9007199254740991: ")


@pytest.mark.parametrize(
    "expression",
    [
        *("n == `9007199254740993`", "contains(list, `9007199254740993`)", "list[?a < `1e300`]"),
        *(
            "`9007199254740991`",
            "sort_by(list, &a)[0].a",
            "map(&a, list)",
            "length(list)",
            "list[::-1]",
            "list[1:]",
            "list[0]",
        ),
        *("not_null(x, y, n)", "merge(list[0], list[0], list[0])", "contains(text, 't')", "to_string(@)"),
        *("max_by(list, &a).a", '`{"type": "slice", "children": [0, 0, 0]}`', "'size(list)'", "size"),
    ],
)
def test_what_may_find_something_has_no_fault(expression: str) -> None:
    assert list(expression_faults("f", expression, ANYWHERE)) == []
    found(expression, CONTEXT)


def test_a_fault_is_told_in_bearable_length() -> None:
    expression = "[" + ", ".join(f"f{number}(a)" for number in range(300)) + "]"
    ((_, message),) = expression_faults("f", expression, ANYWHERE)
    assert len(message) < 350
