"""JSON from outside: a name that stands twice is refused where we are asked, and taken where we are told."""

from typing import Any

import pytest

from domain.json_text import (
    MOST_REPEATED,
    InvalidJson,
    RepeatedNames,
    TooDeep,
    read_json,
    read_json_of_neighbours,
)


@pytest.mark.parametrize(
    ("raw", "places"),
    [
        ('{"a":1,"a":1}', [("a",)]),
        ('{"a":1,"b":2,"\\u0061":3}', [("a",)]),
        ('{"a":1,"a":1,"a":1}', [("a",)]),
        ('{"a":{"b":[0,{"c":1,"c":2}]},"d":1,"d":{}}', [("d",), ("a", "b", 1, "c")]),
        ('[{"a":{"b":1,"b":2}},{"a":1,"a":2}]', [(0, "a", "b"), (1, "a")]),
        ('\ufeff {"":1,"":2} ', [("",)]),
        ('{"a":{"b":1,"b":2},"a":3}', [("a",), ("a", "b")]),
    ],
)
def test_every_name_that_stands_twice_is_told_with_its_place(raw: str, places: list[Any]) -> None:
    with pytest.raises(RepeatedNames) as refused:
        read_json(raw.encode())
    assert refused.value.places == places
    assert ".".join(map(str, places[0])) in str(refused.value)


@pytest.mark.parametrize(
    "raw",
    [
        '{"a":{"a":{"a":[{"a":1},{"a":1}]}}}',
        '{"a":"{\\"b\\":1,\\"b\\":2}","A":1,"\\u00e4":2}',
        '{"n":[1,-1.5e300,' + "9" * 400 + ",true,null]}",
        "[]",
        "1",
    ],
)
def test_what_has_each_name_once_is_read(raw: str) -> None:
    assert read_json(raw.encode()) == read_json_of_neighbours(raw.encode())


def test_of_very_many_the_first_are_told() -> None:
    raw = "[" + ",".join(['{"a":1,"a":2}'] * 1000) + "]"
    with pytest.raises(RepeatedNames) as refused:
        read_json(raw.encode())
    assert refused.value.places == [(number, "a") for number in range(MOST_REPEATED)]


def test_who_tells_us_something_may_have_said_it_twice() -> None:
    assert read_json_of_neighbours(b'{"a":1,"a":2}') == {"a": 2}
    assert read_json_of_neighbours(b'{"a":"\\ud83d","a":"x\\ud83d"}') == {"a": "x\ufffd"}


@pytest.mark.parametrize(("raw", "kind"), [(b'{"a":1,"a"', InvalidJson), (b"[" * 100 + b"]" * 100, TooDeep)])
def test_what_is_no_json_that_we_take_is_that_first(raw: bytes, kind: type[InvalidJson]) -> None:
    with pytest.raises(kind) as refused:
        read_json(raw)
    assert not isinstance(refused.value, RepeatedNames)
