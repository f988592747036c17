"""JSON Schema for what tenants describe themselves: a part of draft 2020-12 whose cost is bounded.

Nothing is fetched, and no pattern can take for ever. A schema that refers to its own parts is counted as if
each part stood where it is referred to. Formats are annotations, and are not checked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from copy import deepcopy
from itertools import islice
from typing import Any

import msgspec
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from domain.faults import Fault, path_of, shortened, within
from domain.patterns import BadPattern, compiled, is_at_hand, matches
from domain.suggestions import did_you_mean

MOST_SUBSCHEMAS = 1_000
MOST_FAULTS = 100
MOST_PATTERNS = 100
"""Compiling a pattern may take a hundredth of a second."""

MOST_STEPS = 100_000
"""The most keywords that are applied to parts of a value: about a second's work, and some five at worst."""

QUICK_STEPS = 1_000

_VOCABULARIES = 8
"""The standard's own schema consists of so many. Something that is no schema is a fault in each of them."""

_TYPES_ARE = "must be array, boolean, integer, null, number, object or string, or a list of these"

_MOST_OBJECTS = 2 * MOST_SUBSCHEMAS
"""This is checked first, because validating a schema against the standard's own takes long."""

_IN_A_MAP = ("properties", "patternProperties", "$defs", "dependentSchemas")
_IN_A_LIST = ("allOf", "anyOf", "oneOf", "prefixItems")
_ALONE = ("additionalProperties", "items", "propertyNames", "contains", "not", "if", "then", "else")
_PLAIN = (
    *("type", "enum", "const", "required", "dependentRequired", "pattern", "$ref"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "minItems", "maxItems", "minContains", "maxContains", "uniqueItems"),
    *("minProperties", "maxProperties"),
    *("$schema", "$comment", "title", "description", "default", "examples", "format"),
    *("deprecated", "readOnly", "writeOnly"),
)
NOT_KNOWN = "is not known"
"""The message for a member that a schema does not allow."""

KEYWORDS = frozenset((*_IN_A_MAP, *_IN_A_LIST, *_ALONE, *_PLAIN))
"""The keywords that a schema may use. The others have unbounded cost, or a different meaning elsewhere."""


def schema_faults(schema: Mapping[str, Any]) -> list[Fault]:
    """Return everything that keeps a schema from being used."""
    if _objects(schema) > _MOST_OBJECTS:
        return [Fault("", f"has more than {_MOST_OBJECTS} objects")]
    try:
        errors = islice(_META.iter_errors(schema), MOST_FAULTS * _VOCABULARIES)
        faults = list(dict.fromkeys(map(_fault, errors)))[:MOST_FAULTS]
    except RecursionError:
        return [Fault("", "is nested too deeply")]
    if not faults and sum(len(_patterns(each)) for _, each in _subschemas(schema)) > MOST_PATTERNS:
        return [Fault("", f"has more than {MOST_PATTERNS} patterns")]
    more = _unsupported(schema) if faults else _walked(schema)
    faults += islice(more, MOST_FAULTS - len(faults))
    return faults or [fault for fault in [_fault_of_size(schema)] if fault]


def value_faults(schema: Mapping[str, Any], value: Any, field: str) -> list[Fault]:
    """Return where a value departs from a schema that has no faults. ``field`` is the name of the value."""
    try:
        return _value_faults(schema, value, field, MOST_STEPS)
    except _TooMuch:
        return [Fault(field, "is too large to check against its schema")]


def quick_faults(schema: Mapping[str, Any], value: Any, field: str) -> list[Fault] | None:
    """Return the same if it takes at most :data:`QUICK_STEPS`, and no pattern has to be parsed, or else
    None."""
    try:
        return _value_faults(schema, value, field, QUICK_STEPS)
    except _TooMuch:
        return None


def does_not_know(faults: Iterable[Fault], name: str) -> bool:
    """Return whether a member is among the faults of an object because its schema allows none of that
    name."""
    return Fault(name, NOT_KNOWN) in faults


def _value_faults(schema: Mapping[str, Any], value: Any, field: str, most_steps: int) -> list[Fault]:
    try:
        faults = [_value_fault(error) for error in _errors(schema, value, most_steps)]
    except RecursionError:
        faults = [Fault("", "is nested too deeply")]
    return list(within(field, faults))


def _errors(schema: Mapping[str, Any], value: Any, most_steps: int) -> list[ValidationError]:
    most, left = _most_steps.set(most_steps), _steps_left.set([most_steps])
    try:
        return list(islice(_Validator(schema, registry=Registry()).iter_errors(value), MOST_FAULTS))
    finally:
        _most_steps.reset(most)
        _steps_left.reset(left)


def sound_parts(schema: Mapping[str, Any], value: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return an object with ``None`` in place of what departs from its schema, and the fields where that
    stands: members with faults, and the whole of a list with such an element. Missing members stay missing.
    """
    kept, left_out = deepcopy(dict(value)), []
    try:
        errors = _errors(schema, value, MOST_STEPS)
    except (_TooMuch, RecursionError):
        return dict.fromkeys(value), list(value)
    for error in errors:
        path = list(error.absolute_path)
        while path and isinstance(path[-1], int):
            path.pop()
        holder = _at(kept, path[:-1]) if path else None
        if isinstance(holder, dict) and path[-1] in holder:
            holder[path[-1]] = None
            left_out.append(path_of(path))
    return kept, left_out


def _at(value: Any, path: Sequence[str | int]) -> Any:
    """Return the part of a value at a path, or None if it does not exist any more."""
    for part in path:
        known = range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()
        if part not in known:
            return None
        value = value[part]
    return value


def _objects(schema: Any) -> int:
    count, pending = 0, [schema]
    while pending and count <= _MOST_OBJECTS:
        each = pending.pop()
        if isinstance(each, dict):
            count += 1
            pending.extend(each.values())
        elif isinstance(each, list):
            pending.extend(each)
    return count


def _fault(error: ValidationError) -> Fault:
    is_of_type = error.validator == "anyOf" and error.absolute_path[-1] == "type"
    return Fault(path_of(error.absolute_path), _TYPES_ARE if is_of_type else shortened(error.message))


def _value_fault(error: ValidationError) -> Fault:
    """Return the rule that a value departs from, never the value itself: refusals are shown in logs and in
    events, where personal data would not be sealed. A name that is not allowed is shown."""
    message = error.message
    if error.validator is None:
        message = "is not allowed"
    elif error.validator == "items":
        message = "has too many elements"
    elif "propertyNames" not in error.absolute_schema_path:
        message = message.removeprefix(f"{error.instance!r} ")
    return Fault(path_of(error.absolute_path), shortened(message))


def _unsupported(schema: Any) -> Iterator[Fault]:
    """Yield what the standard ignores: keywords that do not exist, or that are not supported here."""
    for path, each in _subschemas(schema):
        for name in each if isinstance(each, dict) else ():
            if name not in KEYWORDS:
                meant = did_you_mean(name, KEYWORDS)
                yield Fault(path_of([*path, name]), f"is not a supported keyword{meant}")


def _walked(schema: Any) -> Iterator[Fault]:
    """Yield the faults of each subschema by itself."""
    yield from _unsupported(schema)
    for path, each in _subschemas(schema):
        if not isinstance(each, dict):
            continue
        for keyword, pattern in _patterns(each):
            try:
                compiled(pattern)
            except BadPattern as bad:
                place = [keyword] if keyword == "pattern" else [keyword, pattern]
                yield Fault(path_of([*path, *place]), str(bad))
        if "$ref" in each and _target(schema, each["$ref"]) is None:
            yield Fault(path_of([*path, "$ref"]), "must refer to a part of this schema (#/$defs/...)")


def _patterns(schema: Any) -> list[tuple[str, str]]:
    """Return the patterns of a subschema by itself, each with its keyword."""
    if not isinstance(schema, dict):
        return []
    named = [("patternProperties", name) for name in schema.get("patternProperties", ())]
    return [*named, ("pattern", schema["pattern"])] if "pattern" in schema else named


def _subschemas(schema: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), schema)]
    while pending:
        path, each = pending.pop()
        yield path, each
        pending.extend(((*path, *step), child) for step, child in _children(each))


def _children(schema: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if not isinstance(schema, dict):
        return
    for name in _IN_A_MAP:
        if isinstance(members := schema.get(name), dict):
            yield from (((name, member), child) for member, child in members.items())
    for name in _IN_A_LIST:
        if isinstance(elements := schema.get(name), list):
            yield from (((name, number), child) for number, child in enumerate(elements))
    yield from (((name,), schema[name]) for name in _ALONE if name in schema)


def _target(schema: Any, reference: str) -> Any:
    """Return the subschema of this schema that a reference leads to."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    node: Any = schema
    for part in reference.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and name.isascii() and name.isdigit() and int(name) < len(node):
            node = node[int(name)]
        elif isinstance(node, dict) and name in node:
            node = node[name]
        else:
            return None
    return node if isinstance(node, dict | bool) else None


def _fault_of_size(schema: Any) -> Fault | None:
    """Count every subschema as often as something leads to it."""
    sizes: dict[int, int] = {}
    open_ones: set[int] = set()

    def size(each: Any) -> int:
        if id(each) in sizes:
            return sizes[id(each)]
        if id(each) in open_ones:
            raise _Endless
        open_ones.add(id(each))
        total = 1 + sum(size(child) for step, child in _children(each) if step[0] != "$defs")
        if isinstance(each, dict) and "$ref" in each:
            total += size(_target(schema, each["$ref"]))
        open_ones.remove(id(each))
        sizes[id(each)] = total
        return total

    try:
        total = size(schema) if isinstance(schema, dict) else 1
    except (_Endless, RecursionError):
        return Fault("", "refers to itself without end")
    if total > MOST_SUBSCHEMAS:
        return Fault("", f"comes to {total} subschemas; at most {MOST_SUBSCHEMAS} are allowed")
    return None


class _Endless(Exception):
    """A subschema leads back to itself."""


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not _matches(pattern, value):
        yield ValidationError(f"does not match {pattern}")


def _pattern_properties(validator: Any, patterns: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        _spend(len(value) * len(patterns) // _MATCHES_A_STEP)
        for pattern, subschema in patterns.items():
            for name, member in value.items():
                if _matches(pattern, name):
                    yield from validator.descend(member, subschema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, subschema: Any, value: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    _spend(len(value) * len(patterns) // _MATCHES_A_STEP)
    for name, member in value.items():
        if name in known or any(_matches(pattern, name) for pattern in patterns):
            continue
        if subschema is False:
            yield ValidationError(NOT_KNOWN, path=[name])
        else:
            yield from validator.descend(member, subschema, path=name)


def _required(validator: Any, names: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        yield from (ValidationError("is missing", path=[name]) for name in names if name not in value)


def _unique_items(validator: Any, wanted: bool, value: Any, schema: Any) -> Iterator[ValidationError]:
    """Check in linear time. The library's own check is not linear for objects."""
    if wanted and isinstance(value, list):
        elements = [msgspec.json.encode(each, order="sorted") for each in value]
        _spend(sum(map(len, elements)) // _LETTERS_A_STEP)
        if len(set(elements)) < len(value):
            yield ValidationError("has the same element twice")


def _matches(pattern: str, text: str) -> bool:
    """Return whether a pattern matches. Parsing it is no quick step."""
    if _most_steps.get() <= QUICK_STEPS and not is_at_hand(pattern):
        raise _TooMuch
    return matches(pattern, text)


class _TooMuch(Exception):
    """More steps than are allowed."""


_most_steps: ContextVar[int] = ContextVar("most steps")
_steps_left: ContextVar[list[int]] = ContextVar("steps left")

_LETTERS_A_STEP, _MEMBERS_A_STEP, _MATCHES_A_STEP = 1_000, 10, 20
"""A keyword that looks at a long text, at many members, or matches many names, takes further steps for them:
of all that was tried a step took 55 microseconds at most."""


def _spend(steps: int) -> None:
    left = _steps_left.get()
    left[0] -= steps
    if left[0] < 0:
        raise _TooMuch


def _steps_of(value: Any) -> int:
    if isinstance(value, str):
        return 1 + len(value) // _LETTERS_A_STEP
    return 1 + len(value) // _MEMBERS_A_STEP if isinstance(value, list | dict) else 1


_Keyword = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]


def _counted(keyword: _Keyword) -> _Keyword:
    def counted(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterable[ValidationError] | None:
        _spend(_steps_of(value) + _steps_of(wanted) - 1)
        return keyword(validator, wanted, value, schema)

    return counted


_META = Draft202012Validator(Draft202012Validator.META_SCHEMA)
_OWN: Mapping[str, _Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "required": _required,
    "uniqueItems": _unique_items,
}
_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {name: _counted(keyword) for name, keyword in {**Draft202012Validator.VALIDATORS, **_OWN}.items()},
)
