"""Functions and comparisons of JMESPath that the library leaves to Python, with JSON's meaning.

In Python ``True`` is 1, and ``1_000`` and Arabic digits are numbers. In JSON they are not: whoever writes
``contains(list, `true`)`` does not mean 1.
"""

import re
from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any

from jmespath.functions import Functions, signature

from domain.values import is_same_json

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""A number in JSON (RFC 8259, section 6), which ``to_number`` reads: jmespath.org/specification.html."""

_LOOKED_AT = 2
"""Looking into each member takes this many times as long as reading it: 0.5 µs."""

COMPARATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": is_same_json,
    "ne": lambda one, other: not is_same_json(one, other),
}


def _in_order(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(one: Any, other: Any) -> bool:
        try:
            return compare(one, other)
        except TypeError:
            what = "a string with a number" if isinstance(one, str) else "a number with a string"
            raise TypeError(f"compares {what}; to_number makes a number of a string") from None

    return compared


ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "lt": _in_order(lt),
    "lte": _in_order(le),
    "gt": _in_order(gt),
    "gte": _in_order(ge),
}
"""Of two numbers, or of two strings: the library has found that each is one or the other."""


class JsonFunctions(Functions):
    """The library's functions, with some replaced by these. ``reads`` counts a value that is read to its end,
    in addition to the one time that each argument of a function counts."""

    def __init__(self, reads: Callable[[Any], None]) -> None:
        self._reads = reads

    @signature({"types": ["array", "string"]}, {"types": []})
    def _func_contains(self, subject: list[Any] | str, search: Any) -> bool:
        if search not in subject:
            return False
        if isinstance(search, str) or not _may_be_taken_for_another(search):
            return True
        for _ in range(_LOOKED_AT):
            self._reads(subject)
        return any(is_same_json(each, search) for each in subject)

    @signature({"types": []})
    def _func_to_number(self, given: Any) -> int | float | None:
        if isinstance(given, str):
            return _number(given)
        return given if isinstance(given, int | float) and not isinstance(given, bool) else None


def _may_be_taken_for_another(value: Any) -> bool:
    """Return whether Python may take it for other JSON."""
    return isinstance(value, list | dict) or value in (0, 1)


def _number(text: str) -> int | float | None:
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    try:
        return float(text) if found[1] or found[2] else int(text)
    except ValueError:  # more digits than Python reads as a whole number
        return float(text)
