"""Expressions: what they find is plain JSON, or they do not fit."""

import pytest

from domain.expressions import BadExpression, found, holds


@pytest.mark.parametrize(
    "expression",
    [
        *("&foo", '`"\\ud800"`', "ceil(to_number('1e999'))", "length(`5`)", "a[", "`Infinity` > `1`"),
        *("sort_by(`[{}]`, &to_string(&a))", f"to_number('{'9' * 400}')", f"[to_number('{'9' * 4299}')]"),
    ],
)
def test_what_is_no_json_or_does_not_fit_is_refused(expression: str) -> None:
    with pytest.raises(BadExpression):
        found(expression, {"foo": 1})


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("a.b[", 'Incomplete expression: "a.b["'),
        ("a ==\n  ", 'Incomplete expression: "a == "'),
        ("a b", 'column 2, token "b" (UNQUOTED_IDENTIFIER), for expression: "a b"'),
        ("a.'b", "Unclosed ' delimiter: a.'b"),
        ("abs('a\nb')", "invalid type for value: a b, expected one of: ['number'], received: \"string\""),
        ("x" * 1000 + "[", 'Incomplete expression: "xxx'),
        (f"to_number('{'9' * 1000}')", "the result of to_number is too large a number"),
        (f"to_number('{'9' * 5000}')", "the result of to_number is not a number"),
        ("`5` >= '4'", "`5` >= '4': compares a number with a string; to_number makes a number of a string"),
        (
            "'high' < `5`",
            "'high' < `5`: compares a string with a number; to_number makes a number of a string",
        ),
        ("ceil(`1e300`)", "the result of ceil is too large a number: it must be within ±9007199254740991"),
        ("{a: sum(`[9007199254740991, 1]`)}", "the result of sum is too large a number"),
        ("to_number('-9007199254740992') > `0`", "the result of to_number is too large a number"),
        (f"a[{'9' * 5000}]", "a number in it has too many digits"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_the_expression(expression: str, told: str) -> None:
    with pytest.raises(BadExpression) as raised:
        found(expression, {})
    assert told in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("input.amount > 100", "write a number in backticks: `100`"),
        ("list[?x > -1.5]", "write a number in backticks: `-1.5`"),
        ("input.due < 2026-01-31", "write a string in single quotes: '2026-01-31'"),
        ("input.a-b > `1`", 'write such a name in double quotes: input."a-b"'),
        ("input.größe", 'write such a name in double quotes: input."größe"'),
        ("a-b.c", 'write such a name in double quotes: "a-b".c'),
        ("a." + "b-" * 50 + "b", "write such a name in double quotes"),
        ("input.a + input.b", "there is no arithmetic in expressions"),
        ("input.a - input.b", "there is no arithmetic in expressions"),
        ("input.a = 'x'", "use == to compare"),
        ("input.a and input.b", "use && for and"),
        ("{{ input.x }}", "write an expression without $ or braces around it"),
        ("${input.x}", "write an expression without $ or braces around it"),
    ],
)
def test_what_is_written_as_in_another_language_is_told_how_it_is_written(expression: str, hint: str) -> None:
    with pytest.raises(BadExpression) as raised:
        found(expression, {})
    assert str(raised.value).endswith(f"; {hint}")


@pytest.mark.parametrize(
    "expression", ["a[", "{", "{a b}", "a b", "input.2x", "a.'b", "input..a", "x == 1_0"]
)
def test_where_nothing_is_known_to_be_meant_nothing_is_said(expression: str) -> None:
    with pytest.raises(BadExpression) as raised:
        found(expression, {})
    assert "; " not in str(raised.value)


@pytest.mark.parametrize(
    "expression", ["id", "[id][0]", "to_number(id)", "max([id, `1`])", "not_null(x, id)"]
)
def test_a_number_that_was_given_is_passed_on_however_large(expression: str) -> None:
    assert found(expression, {"id": 2**62 + 1}) == 2**62 + 1


def test_what_is_not_there_is_nothing() -> None:
    assert found("a.b[0].c", {"a": {}}) is None
    assert not holds("a.b", {"a": {}})


NESTED: object = 1
for _ in range(64):
    NESTED = [NESTED]

DOUBLED = {
    "lists": "|".join(["input"] + ["[@, @]"] * 200),
    "objects": "|".join(["input"] + ["{a: @, b: @}"] * 140),
    "long lists": "|".join(["[input]"] + ["[@, @][]"] * 180),
    "long texts": "|".join(["to_string(input)"] + ["join('', [@, @])"] * 110),
    "told as text": "|".join(["input"] + ["[@, @]"] * 40 + ["to_string(@)"]),
    "compared": " == ".join(["|".join(["input"] + ["[@, @]"] * 100)] * 2),
    "of a large input": "[" + ", ".join(["large"] * 280) + "]",
    "nested": "|".join(["input"] + ["[@]"] * 200),
    "nested by and by": "[nested]",
    "endless": "to_number('1e999')",
    "twice a megabyte": "[large, large, large]",
}


@pytest.mark.parametrize("how", DOUBLED)
def test_what_grows_without_end_is_refused_before_it_has(how: str) -> None:
    assert len(DOUBLED[how]) <= 2000
    with pytest.raises(BadExpression, match=r"too large|too expensive|too deep|not a number|the limit is"):
        found(DOUBLED[how], {"input": {"a": 1}, "large": ["x" * 100_000] * 8, "nested": NESTED})


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("list[*].{a: a, b: b.c}", {"a": 0, "b": 0}),
        ("list[?a >= `0`]", {"a": 0, "b": {"c": 0}}),
        ("sort_by(list, &b.c)", {"a": 0, "b": {"c": 0}}),
        ("[list, list][]", {"a": 0, "b": {"c": 0}}),
    ],
)
def test_a_long_list_is_not_too_much(expression: str, first: object) -> None:
    assert found(expression, {"list": [{"a": n, "b": {"c": n}} for n in range(10_000)]})[0] == first


VALUES = {"list": [1, 2, 0], "truths": [True, False], "one": 1, "zero": 0, "false": False, "texts": ["a", ""]}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("contains(list, `true`)", False),
        ("contains(list, `false`)", False),
        ("contains(list, `1.0`)", True),
        ("contains(list, `3`)", False),
        ("contains(truths, `1`)", False),
        ("contains(truths, `false`)", True),
        ("contains(texts, 'a')", True),
        ("contains('abc', 'b')", True),
        ("contains([list], `[1, 2, 0]`)", True),
        ("contains([list], `[true, 2, false]`)", False),
        ("list == `[true, 2, false]`", False),
        ("list != `[true, 2, false]`", True),
        ("list == `[1.0, 2, 0]`", True),
        ('{a: one} == `{"a": true}`', False),
        ('{a: [one]} == `{"a": [1]}`', True),
        ("one == `true`", False),
        ("false == zero", False),
        ("list[?@ == `true`]", []),
        ("truths[?@ == `1`]", []),
    ],
)
def test_a_truth_is_no_number_wherever_it_stands(expression: str, value: object) -> None:
    assert found(expression, VALUES) == value


@pytest.mark.parametrize(
    "text", ["1_000", " 7 ", "٧", "nan", "inf", "0x10", "007", "+7", "1.", ".5", "1e", ""]
)
def test_what_is_no_number_of_jsons_is_none_to_an_expression(text: str) -> None:
    assert found("to_number(text)", {"text": text}) is None


@pytest.mark.parametrize(
    ("text", "value"), [("7", 7), ("-0", 0), ("1.5", 1.5), ("7e2", 700), ("-1.25E-2", -0.0125)]
)
def test_a_number_of_jsons_is_read(text: str, value: float) -> None:
    assert found("to_number(text)", {"text": text}) == value
    assert found("to_number(`true`)", {}) is None
    assert found("to_number(`7`)", {}) == 7


def test_numbers_have_an_order_and_so_have_strings() -> None:
    comparisons = "[`1` < `2`, `2` <= `2`, `1` > `2`, `3` >= `2.5`, 'b' > 'a', `2` < `2`, 'a' >= 'b']"
    assert found(comparisons, {}) == [True, True, False, True, True, False, False]
