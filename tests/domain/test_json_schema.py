"""JSON Schema within bounds: what is refused of schemas, and what they say of values."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domain.faults import Fault
from domain.json_schema import MOST_FAULTS, MOST_PATTERNS, quick_faults, schema_faults, value_faults

Json = dict[str, Any]


def faults(schema: Json, value: Any) -> dict[str, str]:
    assert schema_faults(schema) == []
    return dict(value_faults(schema, value, "input"))


def test_a_values_faults_are_told_all_at_once_and_by_their_fields() -> None:
    schema = {
        "type": "object",
        "required": ["amount", "owner"],
        "properties": {
            "amount": {"type": "number", "exclusiveMinimum": 0},
            "lines": {"type": "array", "items": {"properties": {"sku": {"pattern": "^[A-Z]{3}$"}}}},
        },
        "patternProperties": {"^x_": {"type": "string"}},
        "additionalProperties": False,
    }
    value = {"amount": 0, "lines": [{"sku": "ABC"}, {"sku": "abc"}], "x_a": 1, "x_b": "1", "colour": "red"}
    found = faults(schema, value)
    assert set(found) == {"input.amount", "input.owner", "input.lines[1].sku", "input.x_a", "input.colour"}
    assert found["input.owner"] == "is missing"
    assert faults(schema, {"amount": 1, "owner": "ann", "x_a": "y"}) == {
        "input.owner": "is not known",
    }


def test_a_value_that_is_wrong_as_a_whole_is_named_by_its_own_name() -> None:
    assert list(faults({"type": "object", "minProperties": 1}, {})) == ["input"]


ANN = "ann@example.com"


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({"type": "number"}, ANN, "is not of type 'number'"),
        ({"enum": ["a", "b"]}, ANN, "is not one of ['a', 'b']"),
        ({"const": "a"}, ANN, "'a' was expected"),
        ({"maxLength": 3}, ANN, "is too long"),
        ({"not": {"type": "string"}}, ANN, "should not be valid under {'type': 'string'}"),
        ({"properties": {"email": False}}, {"email": ANN}, "is not allowed"),
        ({"prefixItems": [True], "items": False}, [1, ANN], "has too many elements"),
        ({"contains": {"type": "number"}}, [ANN], "does not contain items matching the given schema"),
        ({"minProperties": 2}, {"email": ANN}, "does not have enough properties"),
        ({"anyOf": [{"type": "number"}]}, ANN, "is not valid under any of the given schemas"),
        ({"propertyNames": {"maxLength": 3}}, {"email": ANN}, "'email' is too long"),
    ],
    ids=lambda each: str(each)[:20],
)
def test_what_is_wrong_is_told_and_not_the_value_that_may_be_personal(
    schema: Json, value: Any, told: str
) -> None:
    assert list(faults(schema, value).values()) == [told]


def test_not_more_faults_are_told_than_anybody_reads() -> None:
    assert len(value_faults({"items": {"type": "string"}}, list(range(10_000)), "input")) == MOST_FAULTS


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"type": "strin"}, "type"),
        ({"properties": {"a": {"minimum": "1"}}}, "properties.a.minimum"),
        ({"properties": {"a": {"pattern": "("}}}, "properties.a.pattern"),
        ({"pattern": "(?=a)b"}, "pattern"),
        ({"patternProperties": {"[": {}}}, "patternProperties.["),
        ({"propertys": {}}, "propertys"),
        ({"allOf": [{}, {"unevaluatedProperties": False}]}, "allOf[1].unevaluatedProperties"),
        ({"$id": "https://example.com/a"}, "$id"),
        ({"$ref": "https://example.com/schema"}, "$ref"),
        ({"$ref": "file:///etc/passwd"}, "$ref"),
        ({"$ref": "#/$defs/nothing"}, "$ref"),
        ({"$dynamicRef": "#a"}, "$dynamicRef"),
        ({"$ref": "#"}, ""),
        ({"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}, ""),
    ],
)
def test_a_schema_that_is_none_or_costs_without_bound_is_refused(schema: Json, field: str) -> None:
    assert [fault.field for fault in schema_faults(schema)] == [field]


def test_every_fault_of_a_schema_is_told_once_with_what_may_have_been_meant() -> None:
    schema: Json = {
        "require": ["a"],
        "properties": {"a": {"type": "numbr", "minmum": 3}, "b": 5, "type": {"type": ["string", "text"]}},
        "allOf": {"x": 1},
        "$defs": [1],
    }
    types = "must be array, boolean, integer, null, number, object or string, or a list of these"
    assert sorted(schema_faults(schema)) == [
        Fault("$defs", "[1] is not of type 'object'"),
        Fault("allOf", "{'x': 1} is not of type 'array'"),
        Fault("properties.a.minmum", "is not a supported keyword; did you mean minimum?"),
        Fault("properties.a.type", types),
        Fault("properties.b", "5 is not of type 'object', 'boolean'"),
        Fault("properties.type.type", types),
        Fault("require", "is not a supported keyword; did you mean required?"),
    ]


def test_references_to_parts_of_the_schema_are_followed() -> None:
    schema = {
        "$defs": {"a/b": {"type": "integer"}},
        "properties": {"x": {"$ref": "#/$defs/a~1b"}, "y": {"$ref": "#/properties/x"}},
    }
    assert list(faults(schema, {"x": "1", "y": "2"})) == ["input.x", "input.y"]


def test_a_schema_that_multiplies_itself_is_refused() -> None:
    bomb = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    schema = {"$defs": {**bomb, "d40": {"type": "string"}}, "$ref": "#/$defs/d0"}
    (fault,) = schema_faults(schema)
    assert "subschemas" in fault.message


def test_a_schema_of_many_parts_is_refused_before_it_costs_anything() -> None:
    began = time.perf_counter()
    (fault,) = schema_faults({"properties": {f"p{number}": {} for number in range(20_000)}})
    assert "objects" in fault.message
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("a{1000}{1000}", "is too large a regular expression"),
        ("(size limit", "unclosed group"),
        ("(?=a)b", "look-around, including look-ahead and look-behind, is not supported"),
    ],
)
def test_a_pattern_that_is_no_use_is_told_why(pattern: str, told: str) -> None:
    (fault,) = schema_faults({"pattern": pattern})
    assert fault.message.startswith(told)


def test_a_pattern_that_would_keep_python_busy_for_a_day_is_matched_at_once() -> None:
    began = time.perf_counter()
    assert list(faults({"pattern": "^(a|a)*$"}, "a" * 40 + "b")) == ["input"]
    assert time.perf_counter() - began < 1


def test_unique_elements_are_found_in_linear_time() -> None:
    elements: list[Any] = [{"n": number} for number in range(30_000)]
    began = time.perf_counter()
    assert faults({"uniqueItems": True}, elements) == {}
    assert list(faults({"uniqueItems": True}, [*elements, {"n": 7}])) == ["input"]
    assert time.perf_counter() - began < 2


_schemas = st.recursive(
    st.sampled_from(
        [
            {},
            {"type": "string"},
            {"type": "integer", "minimum": 1},
            {"enum": [1, "a"]},
            {"pattern": "^a"},
            True,
        ]
    ),
    lambda inner: (
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2)})
        | st.fixed_dictionaries({"items": inner, "uniqueItems": st.just(True)})
        | st.fixed_dictionaries({"required": st.just(["a"]), "additionalProperties": inner})
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)})
        | st.fixed_dictionaries({"not": inner, "patternProperties": st.fixed_dictionaries({"^a": inner})})
    ),
    max_leaves=5,
)
_values = st.recursive(
    st.none() | st.integers(0, 2) | st.sampled_from(["a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(_schemas, _values)
def test_it_decides_as_the_standards_own_validator_does(schema: Any, value: Any) -> None:
    whole = schema if isinstance(schema, dict) else {"allOf": [schema]}
    assert schema_faults(whole) == []
    assert (value_faults(whole, value, "input") == []) == Draft202012Validator(whole).is_valid(value)


ALTERNATIVES = {"items": {"anyOf": [{"type": "string"}] * 900 + [{"type": "number"}]}}


def test_what_is_too_much_work_is_refused_and_not_done() -> None:
    assert value_faults(ALTERNATIVES, [0] * 50, "input") == []
    assert quick_faults(ALTERNATIVES, [0] * 50, "input") is None
    told = "is too large to check against its schema"
    assert value_faults(ALTERNATIVES, [0] * 10_000, "input") == [Fault("input", told)]


def test_ten_thousand_contacts_are_not_too_much() -> None:
    contact = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "minLength": 1}, "phone": {"pattern": "^[0-9]+$"}},
    }
    contacts = [{"name": str(number), "phone": "1"} for number in range(10_000)]
    assert value_faults({"items": contact}, contacts, "input") == []
    assert quick_faults({"items": contact}, contacts[:10], "input") == []


def test_more_patterns_than_may_be_are_refused_before_they_are_read() -> None:
    many = {"properties": {f"p{number}": {"pattern": f"^{number}$"} for number in range(MOST_PATTERNS + 1)}}
    assert schema_faults(many) == [Fault("", f"has more than {MOST_PATTERNS} patterns")]
    few: Json = {"patternProperties": {f"^{number}$": {} for number in range(MOST_PATTERNS)}}
    assert schema_faults(few) == []


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ({"uniqueItems": True}, list(range(100_000))),
        ({"items": {}}, list(range(100_000))),
        ({"patternProperties": {f"a{each}": {} for each in range(9)}}, {f"k{n}": n for n in range(50_000)}),
        ({"pattern": "^a"}, "a" * 1_020_000),
    ],
    ids=["elements", "items", "names", "text"],
)
def test_what_is_large_takes_as_many_steps_as_it_is_long(keyword: dict[str, Any], value: Any) -> None:
    """Else one request could keep everybody waiting for minutes, with each keyword a thousand times."""
    schema = {"properties": {"x": {"allOf": [keyword] * 99}}}
    assert quick_faults(schema, {"x": value}, "input") is None
    (fault,) = value_faults(schema, {"x": value}, "input")
    assert "too large" in fault.message


def test_a_long_enum_over_a_long_list_is_too_much_and_told_so_at_once() -> None:
    schema = {"items": {"enum": [*range(30_000), "x"]}}
    began = time.process_time()
    assert quick_faults(schema, ["x"] * 900, "input") is None
    assert time.process_time() - began < 1
