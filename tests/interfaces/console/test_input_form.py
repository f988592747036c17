"""An input that there is, in a form, and what was changed of it there."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from interfaces.console.api import Refused
from interfaces.console.input_form import Field, changed_input, fields_of, filled_of, input_of
from interfaces.console.prints import SEEN, prints_of

FIELDS = fields_of(
    {
        "required": ["amount"],
        "properties": {
            "amount": {"type": "number"},
            "note": {"type": "string"},
            "parts": {"type": "array"},
            "sure": {"type": "boolean"},
            "size": {"type": "string", "default": "large"},
        },
    },
    "input",
)
PRESENT = {"amount": 1, "note": "two\nlines", "parts": [{"q": 1}], "sure": False, "beside": None}


def shown(present: Mapping[str, Any], fields: Sequence[Field] = FIELDS) -> dict[str, str]:
    """A form that nobody has touched."""
    filled = filled_of(fields, present)
    return {**filled, SEEN: prints_of(filled)}


def test_what_was_left_alone_is_no_change_whatever_a_browser_does_to_line_ends() -> None:
    form = shown(PRESENT)
    assert form["input.sure"] == "false"
    assert changed_input(FIELDS, PRESENT, form) is None
    sent = {name: text.replace("\n", "\r\n") for name, text in form.items()}
    assert changed_input(FIELDS, PRESENT, sent) is None
    assert changed_input(FIELDS, PRESENT, {**form, "input.note": "twolines"}) is None


def test_a_default_is_put_into_no_input_that_there_is() -> None:
    form = shown(PRESENT)
    assert form["input.size"] == ""
    assert changed_input(FIELDS, PRESENT, form) is None


def test_what_was_changed_stands_beside_what_was_not() -> None:
    form = shown(PRESENT)
    assert changed_input(FIELDS, PRESENT, {**form, "input.amount": "2.5"}) == {**PRESENT, "amount": 2.5}
    without = {name: value for name, value in PRESENT.items() if name != "parts"}
    assert changed_input(FIELDS, PRESENT, {**form, "input.parts": ""}) == without
    assert changed_input(FIELDS, {}, {**shown({}), "input.note": "new"}) == {"note": "new"}


def test_what_another_has_changed_meanwhile_is_not_put_back() -> None:
    form, now = shown(PRESENT), {**PRESENT, "amount": 7, "size": "small"}
    assert changed_input(FIELDS, now, form) is None
    assert changed_input(FIELDS, now, {**form, "input.note": "mine"}) == {**now, "note": "mine"}


def test_a_form_that_does_not_say_what_it_had_shown_changes_nothing() -> None:
    for seen in ({}, {SEEN: "["}):
        with pytest.raises(Refused, match="what was shown"):
            changed_input(FIELDS, PRESENT, {**filled_of(FIELDS, PRESENT), **seen})


def test_what_cannot_be_read_is_refused() -> None:
    for field, text in (("amount", "much"), ("parts", "["), ("sure", "maybe")):
        with pytest.raises(Refused, match=field):
            changed_input(FIELDS, PRESENT, {**shown(PRESENT), f"input.{field}": text})


@pytest.mark.parametrize("schema", [None, {"type": "object"}, {"properties": {"never": False}}])
def test_where_no_property_is_known_all_of_it_is_one_field(schema: Mapping[str, Any] | None) -> None:
    fields = fields_of(schema, "metadata")
    assert [(field.name, field.kind) for field in fields] == [("metadata", "json")]
    assert input_of(fields, {"input.metadata": '{"depth": 3}'}) == {"depth": 3}
    assert input_of(fields, {"input.metadata": ""}) == {}
    with pytest.raises(Refused, match="metadata: must be a JSON object"):
        input_of(fields, {"input.metadata": "[3]"})
    assert shown({}, fields)["input.metadata"] == ""
    assert changed_input(fields, PRESENT, shown(PRESENT, fields)) is None
    assert changed_input(fields, PRESENT, {**shown(PRESENT, fields), "input.metadata": '{"a": 1}'}) == {
        "a": 1
    }
    assert changed_input(fields, PRESENT, {**shown(PRESENT, fields), "input.metadata": ""}) == {}


def test_a_text_where_anything_may_be_is_shown_as_the_json_that_it_is() -> None:
    fields = fields_of({"properties": {"anything": {"default": "abc"}}}, "input")
    assert fields[0].default == '"abc"'
    assert input_of(fields, {"input.anything": fields[0].default}) == {"anything": "abc"}
    assert filled_of(fields, {"anything": "5"}) == {"input.anything": '"5"'}


def test_one_of_some_texts_is_taken_as_it_was_chosen() -> None:
    fields = fields_of({"properties": {"size": {"enum": ["small", "large"]}}}, "input")

    assert input_of(fields, {"input.size": "large"}) == {"size": "large"}


def test_what_a_schema_takes_whatever_it_is_is_asked_for_and_what_it_never_takes_is_not() -> None:
    fields = fields_of({"properties": {"anything": True, "nothing": False}}, "input")

    assert [(field.name, field.kind) for field in fields] == [("anything", "json")]


def test_a_text_that_may_be_null_is_asked_for_as_a_text() -> None:
    fields = fields_of(
        {"properties": {"note": {"type": ["string", "null"]}, "odd": {"type": ["string", "number"]}}}, "input"
    )

    assert [field.kind for field in fields] == ["string", "json"]
    assert input_of(fields, {"input.note": "as it is"}) == {"note": "as it is"}
    assert changed_input(fields, {"note": None}, shown({"note": None}, fields)) is None
