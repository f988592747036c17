"""pydantic's findings in the terms of JSON, for users who do not know Python."""

from collections.abc import Iterator
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ValidationError

from domain.suggestions import did_you_mean

Place = tuple[str | int, ...]

_TYPES = {
    "extra_forbidden": "is not known",
    "dict_type": "Input should be an object",
    "model_type": "Input should be an object",
    "list_type": "Input should be an array",
}
_SIZED = {"List ": "Array ", "Dictionary ": "Object "}
_KEY = "[key]"
"""The part of a place that means the name of a member instead of its value."""


class Finding(NamedTuple):
    """A fault and its place: names and positions from the outermost on."""

    place: Place
    message: str


def findings(error: ValidationError, model: type[BaseModel]) -> Iterator[Finding]:
    """Yield all faults of input for a ``model``, without the input's values."""
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        place = tuple(part for part in each["loc"] if part != _KEY)
        yield Finding(place, _worded(each["type"], each["msg"]) + _meant(each["type"], place, model))


def _worded(kind: str, message: str) -> str:
    for ours, of_json in _SIZED.items():
        if kind in ("too_long", "too_short") and message.startswith(ours):
            return of_json + message.removeprefix(ours)
    return _TYPES.get(kind, message)


def _meant(kind: str, place: Place, model: type[BaseModel]) -> str:
    """Return which member an unknown one may have meant: what other systems' name for it is here, or else the
    nearest name."""
    if kind != "extra_forbidden":
        return ""
    name, models = str(place[-1]), _models_at(model, place[:-1])
    for each in models:
        if elsewhere := getattr(each, "called_elsewhere", {}).get(name):
            return f"; did you mean {elsewhere}?"
    known = [field.alias or own for each in models for own, field in each.model_fields.items()]
    return did_you_mean(name, known)


def _models_at(model: type[BaseModel], place: Place) -> list[type[BaseModel]]:
    """Return what the object at a place may be."""
    kinds: list[Any] = [model]
    for part in place:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    return [each for kind in kinds for each in _alternatives(kind) if _is_model(each)]


def _inside(kind: Any, part: str | int) -> Iterator[Any]:
    """Yield the possible types of a member or an element of a type."""
    for each in _alternatives(kind):
        if _is_model(each):
            yield from (
                field.annotation for name, field in each.model_fields.items() if part == (field.alias or name)
            )
        elif get_origin(each) in (list, dict):
            yield get_args(each)[-1]


def _alternatives(kind: Any) -> Iterator[Any]:
    """Yield a type, or the parts of a union or an annotated type."""
    if get_origin(kind) in (None, list, dict):
        yield kind
    else:
        yield from (inner for each in get_args(kind) for inner in _alternatives(each))


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
