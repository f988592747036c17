"""An input that there is, in a form, and what was changed of it there."""

import pytest

from interfaces.console.api import Refused
from interfaces.console.input_form import changed_input, fields_of, filled_of, input_of

FIELDS = fields_of(
    {
        "required": ["amount"],
        "properties": {
            "amount": {"type": "number"},
            "note": {"type": "string"},
            "parts": {"type": "array"},
            "sure": {"type": "boolean"},
        },
    }
)
PRESENT = {"amount": 1, "note": "two\nlines", "parts": [{"q": 1}], "sure": False, "beside": None}


def test_what_was_left_alone_is_no_change_whatever_a_browser_does_to_line_ends() -> None:
    filled = filled_of(FIELDS, PRESENT)
    assert filled["input.sure"] == "false"
    assert changed_input(FIELDS, PRESENT, filled) is None
    sent = {name: text.replace("\n", "\r\n") for name, text in filled.items()}
    assert changed_input(FIELDS, PRESENT, sent) is None
    assert changed_input(FIELDS, PRESENT, {**filled, "input.note": "twolines"}) is None


def test_what_was_changed_stands_beside_what_was_not() -> None:
    filled = filled_of(FIELDS, PRESENT)
    assert changed_input(FIELDS, PRESENT, {**filled, "input.amount": "2.5"}) == {**PRESENT, "amount": 2.5}
    emptied = {name: text for name, text in filled.items() if name != "input.parts"}
    without = {name: value for name, value in PRESENT.items() if name != "parts"}
    assert changed_input(FIELDS, PRESENT, emptied) == without
    assert changed_input(FIELDS, {}, {"input.note": "new"}) == {"note": "new"}


def test_what_cannot_be_read_is_refused() -> None:
    for field, text in (("amount", "much"), ("parts", "["), ("sure", "maybe")):
        with pytest.raises(Refused, match=field):
            changed_input(FIELDS, PRESENT, {**filled_of(FIELDS, PRESENT), f"input.{field}": text})


def test_one_of_some_texts_is_taken_as_it_was_chosen() -> None:
    fields = fields_of({"properties": {"size": {"enum": ["small", "large"]}}})

    assert input_of(fields, {"input.size": "large"}) == {"size": "large"}


def test_what_a_schema_takes_whatever_it_is_is_asked_for_and_what_it_never_takes_is_not() -> None:
    fields = fields_of({"properties": {"anything": True, "nothing": False}})

    assert [(field.name, field.kind) for field in fields] == [("anything", "json")]


def test_a_text_that_may_be_null_is_asked_for_as_a_text() -> None:
    fields = fields_of(
        {"properties": {"note": {"type": ["string", "null"]}, "odd": {"type": ["string", "number"]}}}
    )

    assert [field.kind for field in fields] == ["string", "json"]
    assert input_of(fields, {"input.note": "as it is"}) == {"note": "as it is"}
    assert changed_input(fields, {"note": None}, filled_of(fields, {"note": None})) is None
