"""What is wrong with an expression whatever it finds.

JMESPath looks for a function only when it calls it: an expression with a misspelt function can be read, but
fails whenever it gets there. An expression with a misspelt name finds nothing, each time.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jmespath.functions import Functions

from domain.bounded_jmespath import not_to_be_made, without_value
from domain.expression_hints import hints_of_values
from domain.expressions import BadExpression, compiled
from domain.faults import Fault, shortened
from domain.name_rules import unknown_names
from domain.scopes import Scope

_SIGNATURES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    name: known["signature"] for name, known in Functions.FUNCTION_TABLE.items()
}
_CALL = "function_expression"
_EXPRESSION = "expref"
_Node = Mapping[str, Any]


def expression_faults(field: str, expression: str, scope: Scope) -> Iterator[Fault]:
    """Yield the fault of an expression that cannot be read, that can only fail, or that uses names that never
    exist, with everything that is wrong with it."""
    try:
        parsed = compiled(expression).parsed
    except BadExpression as error:
        yield Fault(field, f"is not a valid JMESPath expression: {error}")
        return
    nodes = list(_nodes(parsed))
    faults = [fault for node in nodes for fault in _faults_of(node)]
    faults += [fault for node in _found(parsed) for fault in _faults_of_literal(node, not_to_be_made)]
    called = dict.fromkeys(node["value"] for node in nodes if node["type"] == _CALL)
    if unknown := ", ".join(name for name in called if name not in _SIGNATURES):
        faults.append(f"there is no function {unknown}; the functions are {', '.join(sorted(_SIGNATURES))}")
    faults += unknown_names(parsed, scope, hints_of_values(expression))
    if faults:
        yield Fault(field, shortened("; ".join(dict.fromkeys(faults))))


def _nodes(parsed: _Node) -> Iterator[_Node]:
    """Yield every node, from left to right. This does not recurse, because a long expression is deep."""
    left: list[Any] = [parsed]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left += reversed(node["children"])


def _faults_of(node: _Node) -> Iterator[str]:
    match node:
        case {"type": "function_expression", "value": name, "children": arguments} if name in _SIGNATURES:
            yield from _faults_of_call(name, _SIGNATURES[name], arguments)
        case {"type": "slice", "children": [_, _, 0]}:
            yield "has a slice with a step of 0"
        case {"type": "literal"}:
            yield from _faults_of_literal(node, without_value)


def _found(parsed: _Node) -> Iterator[_Node]:
    """Yield the literals that can be results as they stand. One that is only compared may be as large as a
    neighbour's id."""
    left = [parsed]
    while left:
        node = left.pop()
        match node["type"]:
            case "literal":
                yield node
            case "multi_select_list" | "multi_select_dict" | "key_val_pair" | "or_expression":
                left += reversed(node["children"])
            case "pipe":
                left.append(node["children"][-1])


def _faults_of_literal(node: _Node, what_is_wrong: Callable[[Any], str | None]) -> Iterator[str]:
    for value in _values_in(node["value"]):
        if why := what_is_wrong(value):
            yield f"a literal {why}: {json.dumps(value)}"


def _values_in(literal: Any) -> Iterator[Any]:
    """Yield every value that is neither a list nor an object, from left to right."""
    left: list[Any] = [literal]
    while left:
        match left.pop():
            case list(parts):
                left += reversed(parts)
            case dict(parts):
                left += reversed(parts.values())
            case value:
                yield value


def _faults_of_call(
    name: str, signature: Sequence[Mapping[str, Any]], arguments: Sequence[_Node]
) -> Iterator[str]:
    takes_more = bool(signature[-1].get("variadic"))
    if len(arguments) < len(signature) or (len(arguments) > len(signature) and not takes_more):
        at_least = "at least " if takes_more else ""
        noun = "argument" if len(signature) == 1 else "arguments"
        yield f"{name} takes {at_least}{len(signature)} {noun}, but is given {len(arguments)}"
        return
    for number, (wanted, argument) in enumerate(zip(signature, arguments, strict=False), start=1):
        is_one = argument["type"] == _EXPRESSION
        if is_one != (_EXPRESSION in wanted["types"]):
            kind = "a value, without &" if is_one else "an expression, with & before it"
            yield f"argument {number} of {name} must be {kind}"
