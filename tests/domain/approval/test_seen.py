"""The digest of what was decided on: it stands in the log as proof, and never changes its form."""

from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.approval.seen import digest_of
from domain.values import canonical

texts = st.text(st.characters(codec="utf-8"), max_size=6)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=8,
)


def digest(payload: Any = None, bound_to: Any = None, amount: float = 250_000, risk: float = 0.91) -> str:
    return digest_of(
        opportunity_id="opp-1", amount=amount, risk_score=risk, payload=payload, bound_to=bound_to
    )


PAYLOAD = {
    "name": 'Grüße – 東京 🚀\u2028"\\/\n',
    "lines": [{"price": 1.5, "count": 2}, {"price": 1e21, "count": -0.0}, None, True],
    "terms": {"days": 30, "zone": "Europe/Berlin"},
    "A": 1,
    "a": 2,
    "é": 3,
}

PLACES = ("terms.days", "lines", "none")

GOLDEN: dict[str, tuple[Any, Any]] = {
    "02fdc589dc0a40f0af915fa5733d30279800377cc7e2d3aa2ce4d1f31d1aac0a": (None, None),
    "df7174c1485b175350e778d4ebf5236c7bfb8fe977610b1a01636139897f2d4c": ({}, None),
    "6ef067f2b1e1fb2de5ef75e985a75acdef3ac86445577d59ad73609c6db74267": (PAYLOAD, None),
    "67c84a0c32b223b7615edfc6f8746c437653912dc86fe89bc0438386a8b3ebc0": (
        PAYLOAD,
        ("terms.days", "lines", "none"),
    ),
}
"""Digests by what they are of: these never change, whatever becomes of the code."""


@pytest.mark.parametrize(("expected", "seen"), GOLDEN.items())
def test_a_digest_is_for_ever_what_it_was(seen: tuple[Any, Any], expected: str) -> None:
    assert digest(*seen) == f"sha256:{expected}"


def test_a_digest_is_of_the_facts_in_their_canonical_form() -> None:
    facts = b'{"amount":250000,"opportunityId":"opp-1","payload":null,"riskScore":0.91}'
    assert digest() == f"sha256:{sha256(facts).hexdigest()}"
    facts = b'{"amount":1,"opportunityId":"opp-1","payload":{"a.b":3,"c":null},"riskScore":0}'
    bound = digest({"a": {"b": 3.0}, "d": 1}, ("c", "a.b"), amount=1.0, risk=-0.0)
    assert bound == f"sha256:{sha256(facts).hexdigest()}"


def test_what_is_digested_is_this_to_the_byte() -> None:
    assert canonical({"é": 1.0, "b": [True, None, 0.5, "ü\n"], "a": {"y": -0.0, "x": 1e21}}) == (
        '{"a":{"x":1000000000000000000000,"y":0},"b":[true,null,0.5,"ü\\n"],"é":1}'.encode()
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": 1}, {"n": 1.0}),
        ({"n": 0}, {"n": -0.0}),
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}),
        ({"l": (1, 2)}, {"l": [1, 2]}),
        ({"big": 10**21}, {"big": 1e21}),
    ],
)
def test_the_same_json_has_the_same_digest(one: Any, other: Any) -> None:
    assert digest(one) == digest(other)
    assert digest(amount=1, risk=0) == digest(amount=1.0, risk=0.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": 1}, {"n": True}),
        ({"n": 0}, {"n": False}),
        ({"n": 1}, {"n": "1"}),
        ({"n": None}, {}),
        (None, {}),
        ({"l": [1, 2]}, {"l": [2, 1]}),
        ({"t": "é"}, {"t": "e\u0301"}),
        ({"a": {"b": 1}}, {"a.b": 1}),
        ({"n": 0.1 + 0.2}, {"n": 0.3}),
    ],
)
def test_another_json_has_another_digest(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)


def test_the_deal_the_amount_and_the_risk_always_count() -> None:
    usual = digest(bound_to=())
    assert digest(bound_to=(), amount=250_000.01) != usual
    assert digest(bound_to=(), risk=0.92) != usual
    assert usual != digest_of(
        opportunity_id="opp-2", amount=250_000, risk_score=0.91, payload=None, bound_to=()
    )


@pytest.mark.parametrize(
    ("one", "other", "bound_to"),
    [
        (PAYLOAD, {**PAYLOAD, "name": "x"}, ("terms", "A")),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1.0, "c": 3}, "d": 4}, ("a.b",)),
        ({"a": {"b": None}}, {}, ("a.b",)),
        ({"a": 5}, {"a": "x"}, ("a.b",)),
        (None, {"x": 1}, ("a.b",)),
        (None, {"x": 1}, ()),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ("b", "a")),
    ],
)
def test_what_is_not_bound_to_does_not_count(one: Any, other: Any, bound_to: Any) -> None:
    assert digest(one, bound_to) == digest(other, bound_to)


@pytest.mark.parametrize(
    ("one", "other", "bound_to"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ("a.b",)),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ("a.b",)),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ("a.0.b",)),
        ({"a": {"b": 1}}, {"a": {"b": True}}, ("a.b",)),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}, ("a", "b")),
        ({"a": {"b": 1}}, None, ("a",)),
        ({"a": ""}, {}, ("a",)),
        ({"a": 0}, {}, ("a",)),
    ],
)
def test_what_is_bound_to_counts(one: Any, other: Any, bound_to: Any) -> None:
    assert digest(one, bound_to) != digest(other, bound_to)


@settings(max_examples=60, deadline=None)
@given(json_values)
def test_a_digest_survives_being_stored_and_read(value: Any) -> None:
    payload = {"value": value}
    assert canonical(msgspec.json.decode(msgspec.json.encode(payload))) == canonical(payload)


@settings(max_examples=60, deadline=None)
@given(json_values, json_values)
def test_two_values_have_one_form_only_if_they_are_the_same_json(one: Any, other: Any) -> None:
    def typed(value: Any) -> Any:
        match value:
            case bool() | None | str():
                return type(value).__name__, value
            case int() | float():
                return "number", value
            case list():
                return "list", [typed(each) for each in value]
        return "object", {name: typed(each) for name, each in value.items()}

    assert (canonical(one) == canonical(other)) == (typed(one) == typed(other))
