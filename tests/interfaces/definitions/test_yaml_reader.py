"""YAML: as much of it as JSON could say, and no bombs."""

import re
import time

import pytest

from interfaces.definitions.yaml_reader import InvalidYaml, read_yaml


def test_what_looks_like_json_is_as_in_json_and_all_else_is_text() -> None:
    text = b"""
    whole: 12
    negative: -3
    fraction: 1.50
    large: 1e3
    yes_: yes
    on: on
    day: 2026-11-26
    base_60: 30:51
    octal: 0o17
    nothing: null
    empty:
    tilde: ~
    truth: true
    quoted: "12"
    huge: 123456789012345678901234567890
    infinite: .inf
    beyond: 1e999
    list: [1, 'a', {b: c}]
    12: a number is no key
    """
    assert read_yaml(text) == {
        "whole": 12,
        "negative": -3,
        "fraction": 1.5,
        "large": 1000.0,
        "yes_": "yes",
        "on": "on",
        "day": "2026-11-26",
        "base_60": "30:51",
        "octal": "0o17",
        "nothing": None,
        "empty": None,
        "tilde": None,
        "truth": True,
        "quoted": "12",
        "huge": "123456789012345678901234567890",
        "infinite": ".inf",
        "beyond": "1e999",
        "list": [1, "a", {"b": "c"}],
        "12": "a number is no key",
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"a: &x [1]\nb: *x", "an alias; write it out in full in line 2"),
        (b"!!python/object/apply:os.system ['true']", "a tag"),
        (b"a: !!binary aGk=", "a tag"),
        (b"a: 1\nb: 2\na: 3", "the key 'a' given twice in line 3"),
        (b"? [a]\n: 1", "a key that is not a string"),
        (b"--- 1\n--- 2", "more than one document"),
        (b"[" * 65 + b"]" * 65, "deeper than 64 levels"),
        (b"a: [1", "line 2"),
        (b"a: \xff", "not UTF-8"),
        (b"a: \x00", "not YAML"),
    ],
)
def test_what_is_no_yaml_or_more_than_json_is_refused(text: bytes, told: str) -> None:
    with pytest.raises(InvalidYaml, match=re.escape(told)):
        read_yaml(text)


def test_a_thousand_levels_are_refused_without_harm() -> None:
    with pytest.raises(InvalidYaml, match="deeper"):
        read_yaml(b"[" * 100_000)


def test_a_bomb_of_aliases_is_refused_at_the_first_of_them() -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    began = time.perf_counter()
    with pytest.raises(InvalidYaml, match="alias"):
        read_yaml("\n".join(lines).encode())
    assert time.perf_counter() - began < 1


def test_nothing_is_nothing() -> None:
    assert read_yaml(b"") is None
    assert read_yaml(b"# only a comment") is None
