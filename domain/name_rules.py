"""Finds names in an expression that never exist where it stands.

JMESPath finds nothing by a name that does not exist, and a condition is then silently false. It is as false
where a status is compared with something that no status is. So the expression is walked with what is known
of its context beforehand: as far as that tells what the present node is, and which members it has.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from domain.scopes import OneOf, Path, Scope, Sort

_Node = Mapping[str, Any]
_Then = tuple[_Node, "_Then"] | None
"""The nodes that a value passes through next, the first one first."""

_MOST_LISTED = 10
_UNQUOTED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

_SAME = ("current", "identity")
_ONE_AFTER_THE_OTHER = ("subexpression", "index_expression", "pipe")
_OVER_EACH = ("projection", "value_projection", "filter_projection", "flatten")
"""Nodes that apply something to each element of their first child. What that finds is not known."""
_EQUALITY = ("eq", "ne")
_IS_COMPARED = "is_compared"
"""Not a node of JMESPath's: a text that the value found is compared with."""
_WITHOUT = ("literal", "index", "slice", "expref")
"""Nodes that use no names, or names of something unknown."""


def unknown_names(parsed: _Node, scope: Scope, hints: Mapping[Path, str]) -> Iterator[str]:
    """Yield what is wrong with each name, from left to right. This does not recurse, because a long
    expression is deep. ``hints`` are those of the expression itself; they come before the scope's."""
    left: list[tuple[_Node, Path, Any, _Then]] = [(parsed, (), scope.context, None)]
    while left:
        node, path, present, then = left.pop()
        if present is Sort.ANYTHING:
            continue
        kind, children = node["type"], node["children"]
        if kind == _IS_COMPARED:
            if isinstance(present, OneOf) and node["value"] not in present.texts:
                yield _never(path, node["value"], present, scope)
        elif kind == "field":
            path = (*path, node["value"])
            if not isinstance(present, dict) or node["value"] not in present:
                yield _told(path, present, scope, hints)
            elif then is not None:
                left.append((then[0], path, present[node["value"]], then[1]))
        elif kind in _SAME:
            if then is not None:
                left.append((then[0], path, present, then[1]))
        elif kind in _ONE_AFTER_THE_OTHER:
            for child in reversed(children[1:]):
                then = child, then
            left.append((children[0], path, present, then))
        elif kind in _OVER_EACH:
            left.append((children[0], path, present, None))
        elif kind == "comparator" and node["value"] in _EQUALITY:
            first, second = children
            left += [
                (second, path, present, _held_against(first)),
                (first, path, present, _held_against(second)),
            ]
        elif kind not in _WITHOUT:
            left += [(child, path, present, None) for child in reversed(children)]


def _held_against(other: _Node) -> _Then:
    if other["type"] != "literal" or not isinstance(other["value"], str):
        return None
    return {**other, "type": _IS_COMPARED}, None


def _never(path: Path, text: str, present: OneOf, scope: Scope) -> str:
    meant = scope.suggest(text, present.texts) or f"; it is one of {', '.join(present.texts)}"
    return f"{_written(path)} is never {text!r}{meant}"


def _told(path: Path, present: Any, scope: Scope, hints: Mapping[Path, str]) -> str:
    what = f"there is no {_written(path)}"
    if isinstance(present, Sort | OneOf):
        return f"{what}: {_written(path[:-1])} is {present.value}"
    hint = hints.get(path) or scope.hints.get(path)
    return what + (hint or scope.suggest(path[-1], present) or _listed(present))


def _written(path: Path) -> str:
    """Return a path as an expression writes it. In quotes it may be no name, and not even a text: half a
    surrogate."""
    return ".".join(name if _UNQUOTED.fullmatch(name) else json.dumps(name) for name in path)


def _listed(present: Mapping[str, Any]) -> str:
    if not 1 <= len(present) <= _MOST_LISTED:
        return ""
    return f"; available: {', '.join(present)}"
