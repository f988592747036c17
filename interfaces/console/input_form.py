"""Generates a form from the schema of an input, and reads the input from the form."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domain.json_text import InvalidJson, RepeatedNames, read_json
from interfaces.console.api import Refused
from interfaces.console.prints import changed_in

PREFIX = "input."


class Field(msgspec.Struct, frozen=True):
    """The form's field for one member of the input. ``options`` are the values to choose from, if limited."""

    name: str
    kind: str
    is_required: bool
    description: str = ""
    default: str = ""
    options: Sequence[str] = ()
    is_whole: bool = False
    """Whether the field is for the whole input."""


def fields_of(schema: Mapping[str, Any] | None, whole: str) -> Sequence[Field]:
    """Return a field for each property of a schema. A value that is not a text, number or choice is entered
    as JSON. Without properties, return one field for the whole input, with the name ``whole``.
    """
    required = (schema or {}).get("required") or ()
    properties: Mapping[str, Any] = (schema or {}).get("properties") or {}
    fields = [
        _field(name, {} if each is True else each, name in required)
        for name, each in properties.items()
        if each is not False
    ]
    return fields or [Field(whole, "json", is_required=False, is_whole=True)]


def input_of(fields: Sequence[Field], form: Mapping[str, str]) -> dict[str, Any]:
    """Return the input from a form, without empty fields.

    Raises:
        Refused: a field cannot be read. Other rules are for the API to check.
    """
    given = [(field, form.get(PREFIX + field.name, "").strip()) for field in fields]
    read = {field.name: _value(field, text) for field, text in given if text}
    for name in [field.name for field, text in given if text and field.is_whole]:
        if not isinstance(read[name], dict):
            raise Refused(400, "VALIDATION_ERROR", f"{name}: must be a JSON object")
        read = read[name]
    return read


def filled_of(fields: Sequence[Field], present: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of the fields for an existing input. Members that it does not have are empty, even if
    the schema has a default."""
    filled = {}
    for field in fields:
        is_there = bool(present) if field.is_whole else field.name in present
        value = present if field.is_whole else present.get(field.name)
        filled[PREFIX + field.name] = _text(field.kind, value) if is_there else ""
    return filled


def changed_input(
    fields: Sequence[Field], present: Mapping[str, Any], form: Mapping[str, str]
) -> dict[str, Any] | None:
    """Return an existing input with the changes of a form, or None if nothing was changed.

    Raises:
        Refused: a field cannot be read, or the record of what was shown is missing.
    """
    names = [PREFIX + field.name for field in fields]
    changes = changed_in(form, {name: form[name] for name in names if name in form})
    changed = [field for field in fields if PREFIX + field.name in changes]
    if not changed:
        return None
    put = {field.name for field in changed}
    kept = {} if changed[0].is_whole else {name: each for name, each in present.items() if name not in put}
    return kept | input_of(changed, form)


def _text(kind: str, value: object) -> str:
    if isinstance(value, str) and kind != "json":
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
    shown = "" if default is None else _text(kind, default)
    return Field(name, kind, is_required, schema.get("description") or "", shown, options)


def _type_of(schema: Mapping[str, Any]) -> object:
    """Return the schema's type. An alternative ``null`` is ignored: an empty field stands for it."""
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
    except RepeatedNames as error:
        raise Refused(400, "VALIDATION_ERROR", f"{field.name}: {error}") from error
    except InvalidJson as error:
        what = {"json": "JSON", "boolean": "true or false"}.get(field.kind, "a number")
        raise Refused(400, "VALIDATION_ERROR", f"{field.name}: must be {what}") from error
