"""JMESPath with limits on the work of an expression, and on the size of its result.

An expression can contain ``[@,@]`` two hundred times. Written out, its result would be longer than the
universe is wide; in memory it is small, because each list holds the same one twice. So everything that an
expression makes is weighed as if it were written out.
"""

import sys
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NamedTuple

from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.parser import ParsedResult
from jmespath.visitor import Options, TreeInterpreter

from domain.jmespath_functions import COMPARATORS, ORDERS, JsonFunctions
from domain.json_text import MOST_DEPTH

MOST_WORK = 300_000
"""The most nodes visited and values weighed: about a third of a second."""

MOST_WORK_TOGETHER = 5 * MOST_WORK
"""The most for expressions that are evaluated for one command or message. Others wait for them all."""

MOST_WEIGHT = 250_000
"""A value weighs one for each number, word, list and object in it, and one more for each 64 characters."""

_CHARACTERS = 64

_READ_AT_ONCE = 8
"""How many values are read in the time that one node takes: ``sum`` takes 0.15 µs for each."""

_MAKES = frozenset(
    (
        *("multi_select_list", "multi_select_dict", "flatten", "slice", "function_expression", "literal"),
        *("projection", "value_projection", "filter_projection"),
    )
)


LARGEST_MADE = 2**53 - 1
"""Readers of JSON disagree on larger numbers, and a request may not hold any. Given values, such as a
neighbour's id, may be larger, and are passed on."""

_LARGEST = int(sys.float_info.max)
"""A larger whole number is not a number for most readers of JSON."""

_RECKON = frozenset(("abs", "avg", "ceil", "floor", "sum", "to_number"))
"""The functions that compute a number. Others return one of those that they are given."""

_OF_EXPRESSIONS = frozenset(
    name
    for name, known in Functions.FUNCTION_TABLE.items()
    if any("expref" in each["types"] for each in known["signature"])
)
"""The functions that take an expression (``&name``). For others it is no value, although some accept it."""


class TooMuch(JMESPathError):
    """The expression would take too long, or its value would be too large."""


class NoValue(JMESPathError):
    """The expression makes something that JSON cannot express."""


def without_value(value: Any) -> str | None:
    """Return why JSON cannot express a number; None if it can, or if the value is no number."""
    if isinstance(value, float) and not isfinite(value):
        return "is not a number"
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        return "is too large a number"
    return None


def not_to_be_made(value: Any) -> str | None:
    """Return why an expression may not make a number, as in :func:`without_value`."""
    if why := without_value(value):
        return why
    if isinstance(value, int | float) and not -LARGEST_MADE <= value <= LARGEST_MADE:
        return f"is too large a number: it must be within ±{LARGEST_MADE}"
    return None


class Allowance:
    """How much work some expressions may still do together."""

    def __init__(self, work: int = MOST_WORK_TOGETHER) -> None:
        self._most = work
        self.left = work

    @property
    def is_spent(self) -> bool:
        """Whether an expression was refused because nothing was left for it."""
        return self.left < 0

    @property
    def is_half_spent(self) -> bool:
        """Whether it is time to leave the rest to another command."""
        return 2 * self.left < self._most


def search(expression: ParsedResult, context: Mapping[str, Any], allowance: Allowance) -> Any:
    """Return what a parsed expression finds.

    Raises:
        TooMuch: it is too much work, or too large.
        NoValue: it makes a number that is none, or uses an expression as a value.
        JMESPathError: it does not fit the context.
    """
    interpreter = _Interpreter(min(MOST_WORK, allowance.left))
    try:
        return interpreter.visit(expression.parsed, context)
    finally:
        allowance.left -= interpreter.work


class _Size(NamedTuple):
    weight: int
    depth: int


_ONE = _Size(1, 0)


class _Interpreter(TreeInterpreter):
    def __init__(self, most_work: int) -> None:
        super().__init__(Options(custom_functions=JsonFunctions(self._charge)))
        self._most_work = self._work_left = most_work
        equal = {name: self._reading(compare) for name, compare in COMPARATORS.items()}
        self.COMPARATOR_FUNC = {**ORDERS, **equal}  # type: ignore[misc]
        self._methods: dict[str, Callable[..., Any]] = {}
        self._sizes: dict[int, tuple[Any, _Size]] = {}
        """By identity; with the value, so that no other gets its identity meanwhile."""
        self._lengths: dict[int, tuple[Any, int]] = {}

    @property
    def work(self) -> int:
        """How much was done."""
        return self._most_work - self._work_left

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        """Do what the library does, and count it. This is called for each node of each element."""
        self._work_left -= 1
        kind = node["type"]
        method = self._methods.get(kind)
        if method is None:
            method = self._methods[kind] = getattr(self, f"visit_{kind}", self.default_visit)
        value = method(node, *args, **kwargs)
        if kind in _MAKES:
            size = self._size(value)
            if size.weight > MOST_WEIGHT:
                raise TooMuch("the result of the expression is too large")
            if size.depth > MOST_DEPTH:
                raise TooMuch("the result of the expression is nested too deeply")
        self._require_work_left()
        return value

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        """Do what the library does. A function may read its arguments to the end."""
        if node["value"] not in _OF_EXPRESSIONS and any(
            each["type"] == "expref" for each in node["children"]
        ):
            raise NoValue(f"{node['value']} takes a value, not an expression: leave out the &")
        given = [self.visit(child, value) for child in node["children"]]
        for each in given:
            self._charge(each)
        value = self._functions.call_function(node["value"], given)  # type: ignore[attr-defined]
        makes_it = node["value"] in _RECKON and not any(value is each for each in given)
        if makes_it and (why := not_to_be_made(value)):
            raise NoValue(f"the result of {node['value']} {why}")
        return value

    def _reading(self, compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Count that two long lists are compared to their ends."""

        def charged(left: Any, right: Any) -> Any:
            self._charge(left)
            self._charge(right)
            return compare(left, right)

        return charged

    def _charge(self, value: Any) -> None:
        self._work_left -= self._length(value) // _READ_AT_ONCE
        self._require_work_left()

    def _require_work_left(self) -> None:
        if self._work_left < 0:
            alone = self._most_work == MOST_WORK
            what = "the expression is" if alone else "the expressions that are evaluated with it are"
            raise TooMuch(f"{what} too expensive to evaluate")

    def _length(self, value: Any) -> int:
        """Return how much there is to read in a value in all. It is counted once."""
        if isinstance(value, str):
            return 1 + len(value) // _CHARACTERS
        if not isinstance(value, list | dict):
            return 1
        known = self._lengths.get(id(value))
        if known is None:
            parts = value if isinstance(value, list) else value.values()
            known = (value, len(value) + sum(map(self._length, parts)))
            self._lengths[id(value)] = known
            self._work_left -= known[1] // _READ_AT_ONCE
        return known[1]

    def _size(self, value: Any) -> "_Size":
        if isinstance(value, str):
            return _Size(1 + len(value) // _CHARACTERS, 0)
        if not isinstance(value, list | dict):
            if why := without_value(value):
                raise NoValue(f"the result of the expression {why}")
            return _ONE
        known = self._sizes.get(id(value))
        if known is not None:
            return known[1]
        self._work_left -= len(value)
        parts = value if isinstance(value, list) else [*value.keys(), *value.values()]
        sizes = [self._size(part) for part in parts]
        size = _Size(
            1 + sum(each.weight for each in sizes), 1 + max((each.depth for each in sizes), default=0)
        )
        self._sizes[id(value)] = (value, size)
        return size
