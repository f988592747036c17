"""A form made from the schema of a workflow's input, and the input made from what was filled in."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domain.json_text import InvalidJson, RepeatedNames, read_json
from interfaces.console.api import Refused
from interfaces.console.prints import changed_in

PREFIX = "input."


class Field(msgspec.Struct, frozen=True):
    """One member of the input: how it is asked for. ``options`` where it is one of some values."""

    name: str
    kind: str
    is_required: bool
    description: str = ""
    default: str = ""
    options: Sequence[str] = ()
    is_whole: bool = False
    """Whether it is all of the input, and no member of it."""


def fields_of(schema: Mapping[str, Any] | None, whole: str) -> Sequence[Field]:
    """A field for each property that there may be; what is no text, number or choice is asked for as JSON.

    Where no property is known there is one field for all of the input, of the name ``whole``.
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
    """What was filled in, by name; what was left empty is left out.

    Raises:
        Refused: a field has something that cannot be read; the rest is for the API to say.
    """
    given = [(field, form.get(PREFIX + field.name, "").strip()) for field in fields]
    read = {field.name: _value(field, text) for field, text in given if text}
    for name in [field.name for field, text in given if text and field.is_whole]:
        if not isinstance(read[name], dict):
            raise Refused(400, "VALIDATION_ERROR", f"{name}: must be a JSON object")
        read = read[name]
    return read


def filled_of(fields: Sequence[Field], present: Mapping[str, Any]) -> dict[str, str]:
    """What stands in the fields of an input that there is: of what it has not, nothing, and no default."""
    filled = {}
    for field in fields:
        is_there = bool(present) if field.is_whole else field.name in present
        value = present if field.is_whole else present.get(field.name)
        filled[PREFIX + field.name] = _text(field.kind, value) if is_there else ""
    return filled


def changed_input(
    fields: Sequence[Field], present: Mapping[str, Any], form: Mapping[str, str]
) -> dict[str, Any] | None:
    """The input as it is, but for what was changed of what a form had shown; nothing where that is nothing.

    Raises:
        Refused: a field has something that cannot be read, or the form does not say what was shown.
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
    except RepeatedNames as error:
        raise Refused(400, "VALIDATION_ERROR", f"{field.name}: {error}") from error
    except InvalidJson as error:
        what = {"json": "JSON", "boolean": "true or false"}.get(field.kind, "a number")
        raise Refused(400, "VALIDATION_ERROR", f"{field.name}: must be {what}") from error
