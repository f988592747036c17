"""JMESPath with an end to it: what an expression may do, and how large it may make what it finds.

Two hundred times ``[@,@]`` fit into an expression that may be written, and what they find is as long as
the universe is wide once it is written out; before that it is small, each list holding the same one twice.
So all that an expression makes is weighed as if it were written out.
"""

from collections.abc import Callable, Mapping
from typing import Any

from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult
from jmespath.visitor import TreeInterpreter

MOST_WORK = 300_000
"""Nodes visited and values weighed: a third of a second or so."""

MOST_WEIGHT = 250_000
"""A value weighs one for each number, word, list and object in it, and one more for each 64 characters."""

_CHARACTERS = 64

_MAKES = frozenset(
    (
        *("multi_select_list", "multi_select_dict", "flatten", "slice", "function_expression"),
        *("projection", "value_projection", "filter_projection"),
    )
)


class TooMuch(JMESPathError):
    """An expression that would go on for too long, or whose value would be too large."""


def search(expression: ParsedResult, context: Mapping[str, Any]) -> Any:
    """What a parsed expression finds.

    Raises:
        TooMuch: it is too much work, or too large.
        JMESPathError: it does not fit what is there.
    """
    return _Interpreter().visit(expression.parsed, context)


class _Interpreter(TreeInterpreter):
    def __init__(self) -> None:
        super().__init__()
        self._work_left = MOST_WORK
        self._methods: dict[str, Callable[..., Any]] = {}
        self._weights: dict[int, tuple[Any, int]] = {}
        """By identity; with the value, so that no other gets its identity meanwhile."""

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        """As the library does, but for what is counted; it is called for each node of each element."""
        self._work_left -= 1
        kind = node["type"]
        method = self._methods.get(kind)
        if method is None:
            method = self._methods[kind] = getattr(self, f"visit_{kind}", self.default_visit)
        value = method(node, *args, **kwargs)
        if kind in _MAKES and self._weight(value) > MOST_WEIGHT:
            raise TooMuch("what the expression makes is too large")
        if self._work_left < 0:
            raise TooMuch("the expression is too much work")
        return value

    def _weight(self, value: Any) -> int:
        if isinstance(value, str):
            return 1 + len(value) // _CHARACTERS
        if not isinstance(value, list | dict):
            return 1
        known = self._weights.get(id(value))
        if known is not None:
            return known[1]
        self._work_left -= len(value)
        parts = value if isinstance(value, list) else [*value.keys(), *value.values()]
        weight = 1 + sum(map(self._weight, parts))
        self._weights[id(value)] = (value, weight)
        return weight
