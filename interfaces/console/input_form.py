"""A form made from the schema of a workflow's input, and the input made from what was filled in."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from interfaces.console.api import Refused
from interfaces.json_reader import InvalidJson, read_json

PREFIX = "input."


class Field(msgspec.Struct, frozen=True):
    """One member of the input: how it is asked for. ``options`` where it is one of some values."""

    name: str
    kind: str
    is_required: bool
    description: str = ""
    default: str = ""
    options: Sequence[str] = ()


def fields_of(schema: Mapping[str, Any] | None) -> Sequence[Field]:
    """A field for each property that there may be; what is no text, number or choice is asked for as JSON."""
    required = (schema or {}).get("required") or ()
    properties: Mapping[str, Any] = (schema or {}).get("properties") or {}
    return [
        _field(name, {} if each is True else each, name in required)
        for name, each in properties.items()
        if each is not False
    ]


def input_of(fields: Sequence[Field], form: Mapping[str, str]) -> dict[str, Any]:
    """What was filled in, by name; what was left empty is left out.

    Raises:
        Refused: a field has something that cannot be read; the rest is for the API to say.
    """
    given = [(field, form.get(PREFIX + field.name, "").strip()) for field in fields]
    return {field.name: _value(field, text) for field, text in given if text}


def filled_of(fields: Sequence[Field], present: Mapping[str, Any]) -> dict[str, str]:
    """What stands in the fields of an input that there is."""
    return {PREFIX + field.name: _text(present[field.name]) for field in fields if field.name in present}


def changed_input(
    fields: Sequence[Field], present: Mapping[str, Any], form: Mapping[str, str]
) -> dict[str, Any] | None:
    """The input with what was filled in in place of what it had; nothing where all is as it was.

    Raises:
        Refused: a field has something that cannot be read.
    """
    filled = filled_of(fields, present)
    changed = [
        field
        for field in fields
        if _flat(form.get(PREFIX + field.name, "")) != _flat(filled.get(PREFIX + field.name, ""))
    ]
    if not changed:
        return None
    names = [field.name for field in changed]
    kept = {name: value for name, value in present.items() if name not in names}
    return kept | input_of(changed, form)


def _flat(text: str) -> str:
    """As a browser may give it back: with other line ends, or in a field that has none."""
    return text.replace("\r", "").replace("\n", "").strip()


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _field(name: str, schema: Mapping[str, Any], is_required: bool) -> Field:
    kind, default = _type_of(schema), schema.get("default")
    options: Sequence[str] = ()
    if (values := schema.get("enum")) and all(isinstance(value, str) for value in values):
        kind, options = "choice", values
    elif kind == "boolean":
        kind, options = "boolean", ("true", "false")
    elif kind not in ("string", "number", "integer"):
        kind = "json"
    shown = "" if default is None else _text(default)
    return Field(name, kind, is_required, schema.get("description") or "", shown, options)


def _type_of(schema: Mapping[str, Any]) -> object:
    """Its one type; that it may be ``null`` as well is said by an empty field."""
    given = schema.get("type")
    if not isinstance(given, list):
        return given
    others = [each for each in given if each != "null"]
    return others[0] if len(others) == 1 else given


def _value(field: Field, text: str) -> Any:
    if field.kind in ("string", "choice"):
        return text
    try:
        return read_json(text.encode())
    except InvalidJson as error:
        what = {"json": "JSON", "boolean": "true or false"}.get(field.kind, "a number")
        raise Refused(400, "VALIDATION_ERROR", f"{field.name}: must be {what}") from error
